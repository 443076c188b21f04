"""The commands that the docs give a reader: in blocks, in sentences, in the table of all tasks."""

import re
from collections.abc import Iterator
from pathlib import Path

from command import PROJECT

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/**/*.md"))]
CHAPTERS = PROJECT / "docs/chapters"
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"\s*(?:\$ |- run: |- )?\./fab (?P<words>[^#\n]*)")
_IN_TEXT = re.compile(r"`(?:\./fab|pushpull) (?P<words>[^`]+)`")
_TASK = re.compile(r"^\| (?P<tasks>`[a-z].*?) \| ", re.MULTILINE)


def commands(*pages: Path) -> list[str]:
    """Return the commands of some pages, of all by default, without `./fab` and each once."""
    found = [command for page in pages or PAGES for command in _on(page.read_text())]
    if not pages:
        found += _tasks((PROJECT / "docs/commands.md").read_text())
    return [*dict.fromkeys(found)]


def _on(page: str) -> Iterator[str]:
    for block in _BLOCK.findall(page):
        for line in block.replace("\\\n", " ").splitlines():
            if command := _COMMAND.match(line):
                yield command["words"].strip()
    for command in _IN_TEXT.finditer(_BLOCK.sub("", page)):
        yield command["words"].partition("|")[0].rstrip(" \\")


def _tasks(page: str) -> Iterator[str]:
    """Yield the first column of the table of tasks; `[--quick]` is a flag that one may give."""
    table = page.partition("\n| task |")[2].partition("\n\n")[0]
    for row in _TASK.finditer(table):
        for task in re.findall("`([^`]+)`", row["tasks"]):
            yield re.sub(r"[\[\]]", "", task)
