"""Faults that a scenario plans before it starts the programs at whose lines they are done."""

from pathlib import Path

import pytest
from engine_play import Play, untraced
from fake_machine import FakeProcess
from own_folder import played

from pushpull.core.faults.planned import PlannedFault

EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", count=1, interval=0)
def planned(lab):
    "Each counts; what happens to whom was planned before."
    lab.schedule("pause", "count", on="pull-1", at=5, repaired_after=0.1)
    lab.schedule("terminate", "count", on="pull-2", at=7)
    lab.schedule("hold", "count", on="push", at=0, repaired_after=0.1)
    lab.start("count", on=["pull-1", "pull-2", "push"]).wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
COUNT = "for n in range(1, 2001):\n    print(n, flush=True)\n"


@pytest.mark.slow
def test_they_are_exact_and_repaired(tmp_path: Path) -> None:
    run, _ = played(tmp_path, {"experiment.py": EXPERIMENT, "count.py": COUNT})
    lines = {name: len([r for r in run.records if r.machine == name and r.stream == "stdout"])
             for name in ("pull-1", "pull-2", "push")}  # fmt: skip
    assert lines == {"pull-1": 2000, "pull-2": 7, "push": 2000}
    done_to = {e.machine: e.details for e in run.events if e.event == "fault"}
    assert {name: (d["fault"], d["line"], d["late_lines"]) for name, d in done_to.items()} == {
        "pull-1": ("pause", 5, 0),
        "pull-2": ("terminate", 7, 0),
        "push": ("hold", 0, 0),
    }
    repairs = {e.machine: e.details for e in run.events if e.event == "repair"}
    assert {name: d["repair"] for name, d in repairs.items()} == {
        "pull-1": "resume",
        "push": "release",
    }
    assert all(d["verified"] for d in [*done_to.values(), *repairs.values()])


OF_LINKS_AND_CLOCKS = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", count=1, interval=0, faults=("set_clock", "slow", "rate"))
def planned(lab):
    "Each counts; links and a clock change meanwhile, as planned before."
    lab.schedule("set_clock", "count", on="pull-1", at=5, repaired_after=0.1, ahead_s=3600.0)
    lab.schedule("slow", "count", on="pull-2", at=7, repaired_after=0.1, delay_ms=20)
    lab.schedule("rate", "count", on="push", at=9, repaired_after=0.1, kbit=8)
    lab.start("count", on=["pull-1", "pull-2", "push"]).wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""


@pytest.mark.slow
def test_they_can_be_those_of_links_and_clocks(tmp_path: Path) -> None:
    files = {"experiment.py": OF_LINKS_AND_CLOCKS, "count.py": COUNT}
    run, _ = played(tmp_path, files)
    done = {e.machine: e.details for e in run.events if e.event == "fault"}
    assert {name: d["fault"] for name, d in done.items()} == {
        "pull-1": "set_clock",
        "pull-2": "slow",
        "push": "rate",
    }
    assert abs(done["pull-1"]["measured_ahead_s"] - 3600) < 1
    repairs = [e.details for e in run.events if e.event == "repair"]
    assert {d["repair"] for d in repairs} == {"correct_clock", "heal"}
    assert all(d["verified"] for d in [*done.values(), *repairs])


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("lab.schedule('kil', 'work', on='pull-1', at=1)", "did you mean 'kill'"),
        ("lab.schedule('heal', 'work', on='pull-1', at=1)", "can't be planned"),
        ("lab.schedule('kill', 'work', on='pull-9', at=1)", "no machine 'pull-9'"),
        ("lab.schedule('kill', 'work', on='pull-1', at=1)", "was started already"),
        ("[lab.schedule('kill', 'x', on='push', at=1) for _ in '12']", "two faults"),
        (
            "lab.schedule('kill', 'src.2', on='push', at=1);"
            " lab.schedule('kill', 'src.3', on='push', at=1); 1 / 0",
            "ZeroDivisionError",
        ),
    ],
)
def test_what_cannot_be_planned(play: Play, impatient: None, scenario: str, words: str) -> None:
    def waits(process: FakeProcess) -> None:
        process.prints("0")
        process.wait()

    done = play(untraced(waits), untraced(waits), scenario=scenario)
    assert words in str(done.error), done.note


@pytest.mark.parametrize(
    ("planned", "words"),
    [
        (PlannedFault("kill", "pull", "a", 1200), "pull on a was killed at its line 1,200"),
        (
            PlannedFault("pause", "pull", "a", 0, 0.5),
            "pull on a was paused before its first line, and was resumed 0.5 s later",
        ),
        (
            PlannedFault("lose", "pull", "a", 3, None, {"every": 2}),
            "a had packets dropped by number, with pull at its line 3 (every=2)",
        ),
    ],
)
def test_in_words(planned: PlannedFault, words: str) -> None:
    assert str(planned) == words
