"""Runs that somebody changed after the run: what shows it."""

import json
import shutil
from pathlib import Path

import pytest
from test_compare_many import Change, rewrite
from test_compare_many import run as run  # the fixture

from pushpull.cli import compare_many
from pushpull.runs import bundle, store
from pushpull.runs.contradictions import contradiction
from pushpull.runs.directory import describe
from pushpull.runs.sums import changed, sums


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


def more_events(copy: Path) -> None:
    with (copy / "events.jsonl").open("a") as events:
        events.write('{"t": 1, "event": "connected"}\n')


def other_verdicts(copy: Path) -> None:
    rewrite(copy / "verdicts.json", lambda verdicts: verdicts.pop())


def other_times(copy: Path) -> None:
    index = next(copy.glob("pull-2/pull.log.index"))
    index.write_bytes(index.read_bytes()[:-1] + b"\x40")


def other_parameters(copy: Path) -> None:
    about = json.loads((copy / "run.json").read_text())
    about["parameters"]["interval"] = 7
    (copy / "run.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (more_events, "events.jsonl"),
        (other_verdicts, "verdicts.json"),
        (other_times, "pull-2/pull.log.index"),
        (other_parameters, "run.json"),
        (lambda copy: (copy / "pull-2/more.log").touch(), "pull-2/more.log"),
        (lambda copy: next(copy.glob("pull-2/pull.log")).unlink(), "pull-2/pull.log"),
    ],
)
def test_checksums_show_what_was_changed_even_on_another_computer(
    run: Path, tmp_path: Path, change: Change, name: str
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "made" / run.name))
    about = dict(store.load(copy).description)
    about["parameters"] |= {"file": "/home/anna/words.txt"}  # which a bundle does not keep
    describe(copy, about | {"sums": sums(copy, about)})
    elsewhere = bundle.unpack(bundle.pack(copy, tmp_path), tmp_path / "runs")
    assert "anna" not in (elsewhere / "run.json").read_text()
    for one in (copy, elsewhere):
        assert contradiction(store.load(one)) == ""
        change(one)
        assert changed(one, json.loads((one / "run.json").read_text())) == name


@pytest.mark.parametrize(
    ("then", "claim"),
    [
        ([("a", "holds"), ("b", "refuted")], ""),
        ([("a", "holds"), ("b", "holds")], "b"),
        ([("a", "holds")], "b"),
        ([("a", "holds"), ("b", "refuted"), ("c", "holds")], "c"),
        ([("a", "refuted"), ("a", "holds"), ("b", "refuted")], "a"),
    ],
)
def test_which_verdict_was_changed(then: list[tuple[str, str]], claim: str) -> None:
    before = [{"id": id_, "verdict": verdict, "expected": "holds"} for id_, verdict in then]
    now = [{"id": "a", "verdict": "holds", "expected": "holds"},
           {"id": "b", "verdict": "refuted", "expected": "holds"}]  # fmt: skip
    assert compare_many._changed(before, now) == claim
    assert compare_many._changed([{**now[0], "expected": "refuted"}, now[1]], now) == "a"
