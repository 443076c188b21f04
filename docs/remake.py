"""Makes the outputs in docs/chapters anew, by new runs: `python docs/remake.py`.

A chapter is followed as a reader would follow it, in an empty folder. A block that names a file
(three backquotes, a language, a path) is written to it; one of `sh` that begins with `./fab` is run
line by line; one of `console` that begins with `$ ./fab` is run, and what it printed put in its
place: of a run the first lines and all verdicts.
"""

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

CHAPTERS = sorted((Path(__file__).parent / "chapters").glob("*.md"))
_PROJECT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(?P<kind>\w+)(?: (?P<file>\S+))?\n(?P<body>(?:.*\n)*?)```$", re.M)
_HEAD = 6  # lines of a run that are kept


def remade(chapter: str, folder: Path) -> str:
    """Return a chapter's text with the outputs of new runs, followed in an empty folder."""

    def replaced(block: re.Match[str]) -> str:
        if block["file"]:
            _write(folder / block["file"], block["body"])
        elif block["kind"] == "sh" and block["body"].startswith("./fab "):
            for line in block["body"].splitlines():
                _ran(f"$ {line}", folder)
        command = block["body"].partition("\n")[0]
        if block["kind"] != "console" or not command.startswith("$ ./fab "):
            return block[0]
        return f"```console\n{command}\n{_shortened(_ran(command, folder))}```"

    return _BLOCK.sub(replaced, chapter)


def differences(old: str, new: str) -> list[str]:
    """Return how the verdicts of two texts of a chapter differ, where it can't be chance."""
    found = []
    for (command, before), (_, after) in zip(_outputs(old), _outputs(new), strict=True):
        marks = [Counter(re.findall(r"^[✓✗] .*$", text, re.M)) for text in (before, after)]
        chance = sum(text.count("(inconclusive, not counted)") for text in (before, after))
        changed = [*(marks[0] - marks[1]), *(marks[1] - marks[0])]
        if len(changed) > chance or any(line.startswith("✗") for line in changed):
            found.append(f"{command}: {changed}")
    return found


def _outputs(chapter: str) -> Iterator[tuple[str, str]]:
    for block in _BLOCK.finditer(chapter):
        if block["kind"] == "console":
            command, _, output = block["body"].partition("\n")
            yield command, output


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _ran(command: str, folder: Path) -> str:
    words = command.split()[2:]
    done = subprocess.run(
        [str(_PROJECT / "fab"), *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return done.stdout + done.stderr


def _shortened(output: str) -> str:
    lines = [
        line for line in output.splitlines() if not re.match(r"(run:   \S*runs/|again: )", line)
    ]
    first = next((k for k, line in enumerate(lines) if re.match(r"[✓✗?] ", line)), len(lines))
    last = next((k for k, line in enumerate(lines) if re.match(r"\d+ claims?:", line)), len(lines))
    head = [line for line in lines[:first] if line.strip()]
    cut = [*head[:_HEAD], "  ..."] if len(head) > _HEAD else head
    return "".join(f"{line}\n" for line in [*cut, *lines[first : last + 1]])


def main() -> None:
    for chapter in CHAPTERS:
        with tempfile.TemporaryDirectory() as folder:
            chapter.write_text(remade(chapter.read_text(), Path(folder)))
        print(f"made anew: {chapter.name}", flush=True)


if __name__ == "__main__":
    main()
