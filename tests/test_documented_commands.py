"""Each command in the docs is understood by the real parser, and names what exists."""

import itertools
import re
import shlex

import pytest
from command import PROJECT
from test_first_look import PARSER

from pushpull.experiments import catalogue, implementations

PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/**/*.md"))]
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"\s*(?:\$ )?\./fab (?P<words>[^#\n]*)")


def commands() -> list[str]:
    """Return the commands of all pages, each once."""
    found: dict[str, None] = {}
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                if command := _COMMAND.match(line):
                    found[command["words"].strip()] = None
    return [*found]


def test_there_are_some() -> None:
    assert len(commands()) > 30


@pytest.mark.parametrize("command", commands())
def test_each_is_understood(command: str) -> None:
    parsed = PARSER.parse_argv(shlex.split(command))
    assert not parsed.unparsed


@pytest.mark.parametrize("command", [c for c in commands() if "--experiment " in c])
def test_its_experiments_and_implementations_exist(command: str) -> None:
    words = dict(itertools.pairwise(shlex.split(command)))
    wanted = words["--experiment"]
    known = [*catalogue.names(), "words"]  # chapter 6 makes `words`
    assert wanted in known or (PROJECT / wanted / "experiment.py").is_file()
    if choice := words.get("--implementation"):
        implementations.chosen(choice)
