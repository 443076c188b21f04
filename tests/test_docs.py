"""The docs name only pages, headings and files that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [
    *sorted(PROJECT.glob("*.md")),
    *sorted((PROJECT / "docs").rglob("*.md")),
    PROJECT / "findings" / "README.md",
]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_FILE = re.compile(r"`(?P<path>(?:lab|tests|docs|benchmarks|provision)/[\w./-]*\w)`")
_NOT_IN_A_CLONE = {
    "provision/wheels",  # `./fab wheels` makes it
    "tests/test_spec_pushpull.cpp",  # libzmq's
}


def prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text())


def headings(page: Path) -> set[str]:
    """Return the anchors that a Markdown page has, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def missing(page: Path) -> Iterator[str]:
    text = prose(page)
    for link in _LINK.finditer(text):
        path, _, anchor = link["target"].partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in headings(target)):
            yield link["target"]
    for file in _FILE.finditer(text):
        if file["path"] not in _NOT_IN_A_CLONE and not (PROJECT / file["path"]).exists():
            yield file["path"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_and_file_that_a_page_names_exists(page: Path) -> None:
    assert list(missing(page)) == []


def test_a_missing_link_or_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A head, with a comma\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](other.md) [b](other.md#a-head-with-a-comma) [c](https://a.example) `lab/__init__.py`\n"
        "[d](none.md) [e](other.md#none) `lab/none.py`\n```\n[f](none.md)\n```\n"
    )
    assert list(missing(page)) == ["none.md", "other.md#none", "lab/none.py"]
