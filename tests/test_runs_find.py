"""The requested run is found, or the existing ones are named."""

import shutil
from pathlib import Path

import pytest
from made_runs import LEAST

from pushpull.core.errors import LabError
from pushpull.runs.directory import RunDirectory
from pushpull.runs.store import find, last_call, load


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Make three runs, the last two of one call."""
    made = [
        RunDirectory.create(tmp_path / "runs", experiment, LEAST | {"call": call})
        for experiment, call in (("zebra", "1"), ("round_robin", "2"), ("kill_worker", "2"))
    ]
    for run in made:
        run.finish("finished")
    return [run.path for run in made]


def test_a_run_is_found(three: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = three[0].parent
    assert find(root, None) == three[2]
    assert find(root, three[0].name) == three[0]
    assert find(root, str(three[0])) == three[0]
    monkeypatch.chdir(root.parent)
    assert find(Path("elsewhere"), f"runs/{three[0].name}/") == Path("runs") / three[0].name
    assert load(find(root, "latest")).description["experiment"] == "kill_worker"


@pytest.mark.parametrize("name", ["", ".", "..", "nonsense", "x" * 5000, "a\x00b", "/dev/null"])
def test_a_run_that_does_not_exist(three: list[Path], name: str) -> None:
    with pytest.raises(LabError, match="There is no run") as caught:
        find(three[0].parent, name)
    assert three[0].name in caught.value.hint


def test_the_most_similar_is_named(three: list[Path]) -> None:
    with pytest.raises(LabError) as caught:
        find(three[0].parent, three[1].name.replace("round", "roud"))
    assert three[1].name in caught.value.hint


def test_there_are_no_runs_yet(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "missing"):
        for ask in (lambda root: find(root, None), lambda root: find(root, "x"), last_call):
            with pytest.raises(LabError, match="no runs here") as caught:
                ask(root)
            assert "fab run-experiment" in caught.value.hint


def test_the_latest_was_removed_by_hand(three: list[Path]) -> None:
    shutil.rmtree(three[2])
    assert find(three[0].parent, None) in three[:2]


def test_the_runs_of_the_last_call(three: list[Path]) -> None:
    root = three[0].parent
    assert last_call(root) == three[1:]
    (three[0] / "run.json").write_text("broken")
    (root / "notes.txt").write_text("the user's own")
    assert last_call(root) == three[1:]
    alone = RunDirectory.create(root, "alone", LEAST)
    assert last_call(root) == [alone.path]
    alone.close()
