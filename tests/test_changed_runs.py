"""Runs that somebody changed after the run: what shows it."""

import shutil
from pathlib import Path

import pytest
from test_compare_many import Change, rewrite
from test_compare_many import run as run  # the fixture

from pushpull.cli import compare_many
from pushpull.runs import store
from pushpull.runs.contradictions import contradiction


def without_a_log(copy: Path) -> None:
    shutil.rmtree(copy / "pull-1")


def without_events(copy: Path) -> None:
    (copy / "events.jsonl").write_text("")


def on_another_day(copy: Path) -> None:
    rewrite(copy / "run.json", lambda about: about.update(started=about["started"] + 86_400))


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (without_a_log, "pull was started on pull-1, but its log is missing"),
        (without_events, "pull on pull-1 has a log, but no event says that it was started"),
        (on_another_day, "by its events, a program was started before the run"),
    ],
)
def test_what_contradicts_itself(run: Path, tmp_path: Path, change: Change, wrong: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / run.name))
    assert contradiction(store.load(copy)) == ""
    change(copy)
    assert contradiction(store.load(copy)) == wrong


@pytest.mark.parametrize(
    ("then", "changed"),
    [
        ([("a", "holds"), ("b", "refuted")], ""),
        ([("a", "holds"), ("b", "holds")], "b"),
        ([("a", "holds")], "b"),
        ([("a", "holds"), ("b", "refuted"), ("c", "holds")], "c"),
        ([("a", "refuted"), ("a", "holds"), ("b", "refuted")], "a"),
    ],
)
def test_which_verdict_was_changed(then: list[tuple[str, str]], changed: str) -> None:
    before = [{"id": id_, "verdict": verdict, "expected": "holds"} for id_, verdict in then]
    now = [{"id": "a", "verdict": "holds", "expected": "holds"},
           {"id": "b", "verdict": "refuted", "expected": "holds"}]  # fmt: skip
    assert compare_many._changed(before, now) == changed
    assert compare_many._changed([{**now[0], "expected": "refuted"}, now[1]], now) == "a"
