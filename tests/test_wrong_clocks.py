"""Clocks of machines that are wrong or step change neither the times of a run nor its verdicts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from broken_lab import Broken
from command import fab, only_run, verdicts

from pushpull.analysis.history import Run
from pushpull.analysis.messages import Columns, SteadyClock
from pushpull.core.clock import Clock, Moment, ahead_s, now
from pushpull.core.errors import LabError
from pushpull.core.records import Message, Record
from pushpull.experiments.judges import line_formats
from pushpull.machines import clock_offset
from pushpull.runs import store

INVENTORY = """
network: 192.168.0.0/24
machines:
  push:   {role: pusher, address: 192.168.0.161}
  pull-1: {role: puller, address: 192.168.0.162%s}
"""
EXPERIMENT = """
from pushpull.api import exactly_once, claim, experiment, lines
from pushpull.experiments.judges import arriving

READS = lines(sent={"push": r"(\\\\d+)"}, received={"pull": r"(\\\\d+) .*"})


@experiment(source="s", reads=READS, faults=("set_clock",), count=10, interval=0.03)
def clocks(lab):
    "The wall clocks of both step while messages are under way."
    lab.set_clock("pull-1", ahead_s=%d)
    lab.start("pull", on="pull-1", to="push")
    pusher = lab.start("push", on="push", held=True, **lab.plan)
    lab.hold(pusher, at=4)
    lab.set_clock("push", ahead_s=%d)
    lab.release(pusher)
    pusher.wait()


@claim("Each comes once.")
def once(run):
    return exactly_once(run, run.planned)


@claim("They come in order.")
def in_order(run):
    return arriving.in_order(run)
"""


def play(folder: Path, ahead: tuple[int, int], monotonic: str = "") -> Path:
    folder.mkdir()
    (folder / "experiment.py").write_text(EXPERIMENT.replace("\\\\", "\\") % ahead)
    (folder / "inventory.yaml").write_text(INVENTORY % monotonic)
    flags = ("--experiment", folder / "experiment.py", "--runs", folder / "runs")
    flags += ("--provider", "namespaces", "--inventory", folder / "inventory.yaml")
    done = fab("run-experiment", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return only_run(folder / "runs")


@pytest.mark.slow
def test_wrong_clocks_change_no_verdict_and_no_time(tmp_path: Path) -> None:
    right = play(tmp_path / "right", (0, 0))
    wrong = play(tmp_path / "wrong", (5, -100), ", namespaces: {monotonic_ahead_s: 3600}")
    said = [
        [(v["statement"], v["verdict"], v["why"]) for v in verdicts(run)] for run in (right, wrong)
    ]
    assert said[0] == said[1]
    stored = store.load(wrong)
    clocks = stored.description["clocks"]
    assert round(clocks["pull-1"]["wall_ahead_s"]) == 5
    assert round(clocks["push"]["wall_ahead_s"]) == -100
    assert (
        round(clocks["pull-1"]["monotonic_ahead_s"] - clocks["push"]["monotonic_ahead_s"]) == 3600
    )
    run = Run(stored, line_formats.read)
    late = [m.t - run.offsets[m.machine] - run.dealt[m.number] for m in run.taken]
    assert len(late) == 10
    assert all(-0.001 <= one < 2 for one in late)
    # They did see these clocks: a message has the time of its sending.
    texts = [r.text or "" for r in stored.records if r.process == "pull" and r.stream == "stdout"]
    sent = [float(text.split(" , ")[1]) for text in texts]
    assert (
        min(sent) < stored.description["started"] - 90 < stored.description["started"] < max(sent)
    )
    faults = [e for e in stored.events if "ahead_s" in e.details]
    assert [(e.machine, e.details["ahead_s"], e.details["verified"]) for e in faults] == [
        ("pull-1", 5, True),
        ("push", -100, True),
    ]


@pytest.mark.parametrize(
    ("said", "theirs_s"),
    [
        ("monotonic       3600         0\nboottime        3600         0\n", 3600.0),
        ("monotonic         -5 500000000\nboottime           0         0\n", -4.5),
        ("nonsense\n", 0.0),
    ],
)
def test_a_time_namespaces_offset(
    monkeypatch: pytest.MonkeyPatch, said: str, theirs_s: float
) -> None:
    monkeypatch.setattr(clock_offset, "_read_here", lambda: "")
    read = lambda path: "boot" if "boot_id" in path else said  # noqa: E731
    remote: Any = SimpleNamespace(read_once=read)
    found = clock_offset.measure(remote, "boot")
    assert found == Clock(monotonic_ahead_s=theirs_s - ahead_s())
    assert found.ours(Moment(0.0, 100.0 + theirs_s)) == 100.0 + ahead_s()


def test_a_trace_by_a_wall_clock_that_was_set_has_the_time_of_its_capture() -> None:
    before = now()
    set_clock = Clock(monotonic_ahead_s=-ahead_s(), wall_ahead_s=5.0)
    assert before <= set_clock.ours(Moment(before + 5.0)) <= now()
    record = Record(machine="pull-1", process="pull", stream="stderr", n=0, t=7.0, text="",
                    offset=0, length=0)  # fmt: skip
    message = Message(kind="taken", number=0, machine="pull-1", process="pull", n=0, t=12.0)
    steady, moved = (SteadyClock(ahead_s=0.0, wall_is_set=is_set) for is_set in (False, True))
    times = [
        Columns([record], lambda _: message, lambda _, c=clock: c).of("taken").ts[0]  # type: ignore[misc]
        for clock in (steady, moved)
    ]
    assert times == [12.0, 7.0]


def test_a_clock_is_not_set_for_programs_that_would_not_see_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")
    lab.manager.processes.append(SimpleNamespace(machine="pull-1", name="pull", ended=False))
    with pytest.raises(LabError, match="pull was started before its wall clock could be set"):
        lab.lab.set_clock("pull-1", ahead_s=5)
    with pytest.raises(LabError, match="a clock can't be nan s ahead"):
        lab.lab.set_clock("push", ahead_s=float("nan"))
    assert lab.events == []
