"""The chapters are true: followed from an empty folder, they give the same verdicts."""

import importlib.util
from pathlib import Path

import pytest

_FILE = Path(__file__).parents[1] / "docs" / "remake.py"
_SPEC = importlib.util.spec_from_file_location("remake", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
remake = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(remake)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", remake.CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_gets_the_same_verdicts(chapter: Path, tmp_path: Path) -> None:
    text = chapter.read_text()
    assert remake.differences(text, remake.remade(text, tmp_path)) == []


def test_a_changed_verdict_is_reported() -> None:
    text = "```console\n$ ./fab x\n✓ One holds.\n? y.two (inconclusive, not counted)\n```\n"
    assert remake.differences(text, text) == []
    assert remake.differences(text, text.replace("✓ One holds.", "✗ y.one")) != []
    assert remake.differences(
        text, text.replace("? y.two (inconclusive, not counted)", "✓ Two.")
    ) == ([])


def test_every_chapter_has_its_five_parts() -> None:
    assert len(remake.CHAPTERS) >= 6
    for chapter in remake.CHAPTERS:
        text = chapter.read_text()
        assert "**The question" in text
        assert "**The one change.**" in text
        assert "```console\n$ ./fab " in text
