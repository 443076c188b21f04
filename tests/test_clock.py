"""Setting a wall clock during a run changes neither the run's times nor its verdicts."""

import time
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run
from quick import rest_slow

from pushpull.core import clock
from pushpull.core.clock import Clock, Moment
from pushpull.core.errors import ExitCode
from pushpull.runs import store

STEPPING = """\
import time

_true = time.time
_calls = 0


def _stepped():
    global _calls
    _calls += 1
    return _true() - ({seconds} if _calls > {calls} else 0.0)


time.time = _stepped
"""
SECONDS = {"push": 5.0, "pull": 8.0}  # apart, so that one doesn't make up for the other
EXPERIMENT = '''"""Of the test's own."""
from pushpull.api import Verdict, claim, exactly_once, experiment, lines

READS = lines(sent={"push": r"(\\d+)"}, received={"pull": r"(\\d+) .*"})


@experiment(source="s", reads=READS, count=8, interval=0.02)
def stepping(lab):
    plan = {"trace": True, "count": lab.count, "interval": lab.interval, "delay": 0.3}
    lab.start("pull", on="pull-1", address=lab.address("push"), trace=True)
    lab.start("push", on="push", address="tcp://*:1234", **plan).wait()


@claim("Each comes once.")
def once(run):
    return exactly_once(run, run.planned)


@claim("None comes before it was sent.")
def in_order(run):
    taken = {m.number: m.t - run.offsets.get(m.machine, 0.0) for m in run.taken}
    early = [n for n, t in taken.items() if not run.dealt[n] <= t]
    return Verdict.refuted(str(early)) if early or len(taken) < 8 else Verdict.holds("all")


@claim("The traces have the times at which their lines arrived.")
def when(run):
    came = {m.number: m.t for m in run.sent}
    far = [n for n, t in run.dealt.items() if abs(t - came[n]) > 2]
    return Verdict.refuted(str(far)) if far or len(came) < 8 else Verdict.holds("all")
'''


def test_now_goes_on_while_the_wall_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before, ahead = clock.now(), clock.wall_ahead_s()
    assert abs(before - time.time()) < 3600
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() - 5.0)
    assert clock.now() >= before
    assert clock.wall_ahead_s() - ahead == pytest.approx(-5.0, abs=0.01)


def test_a_moment_of_another_machine() -> None:
    far = Clock(offset_s=2.0)
    assert far.ours(Moment(10.0)) == far.ours(Moment(10.0, 99.0)) == 8.0
    shared = Clock(monotonic_ahead_s=-1000.0)
    assert shared.ours(Moment(10.0, 99.0)) == 1099.0
    assert shared.ours(Moment(10.0)) == 10.0


@pytest.mark.parametrize(
    "calls", rest_slow([{"push": 0, "pull": 1}, {"push": 1, "pull": 4}, {"push": 4, "pull": 0}])
)
def test_programs_whose_wall_clocks_step_back(tmp_path: Path, calls: dict[str, int]) -> None:
    """By so many seconds: before a program starts, right after, or in the midst of its work."""
    folder = tmp_path / "stepping"
    folder.mkdir()
    for name in ("push", "pull"):
        text = (PROJECT / "lab" / "experiments" / "programs" / "pyzmq" / f"{name}.py").read_text()
        stepping = STEPPING.format(calls=calls[name], seconds=SECONDS[name])
        future = "from __future__ import print_function\n"  # must stay first
        assert text.count(future) == 1
        (folder / f"{name}.py").write_text(text.replace(future, future + stepping))
    (folder / "experiment.py").write_text(EXPERIMENT)
    flags = ("run-experiment", "--experiment", folder, "--provider", "namespaces")
    done = fab(*flags, "--runs", tmp_path / "runs")
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    stored = store.load(only_run(tmp_path / "runs"))
    assert "clock_step_s" not in stored.description
    first = min(record.t for record in stored.records)
    assert all(event.t > first - 2 for event in stored.events if event.event == "connected")
