"""Faults at an exact line in whole runs: kills, forced order, and machines that can't hold one."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_play import Play, untraced
from fake_machine import FakeProcess, FakeRemote
from own_folder import played

from pushpull.analysis.event_text import EventDescriber

EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", interval=0)
def exact(lab):
    "The second goes on from its third line when the first was killed at its fiftieth."
    worker = lab.start("count", on="pull-1", held=True)
    other = lab.start("count", on="pull-2", held=True, ready=lambda line: line == "2")
    lab.hold(other, at=3)
    lab.kill(worker, at=50)
    lab.hold(other, at="9")
    lab.release(other)
    other.wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
COUNT = "for n in range(1, 20_001):\n    print(n, flush=True)\n"


# Lets a command run where the kernel refuses to report a program's calls: seccomp(2) with the flag
# NEW_LISTENER fails, as in a container within another that uses it, or before Linux 5.0.
REFUSING = """
import ctypes, os, struct, sys
number = {"x86_64": 317}.get(os.uname().machine, 277)
lines = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 24), (0x45, 0, 1, 1 << 3),
         (6, 0, 0, 0x50001), (6, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
about = struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, about) == 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
SLOWLY = "import time\nfor n in range(1, 5_000):\n    print(n, flush=True)\n    time.sleep(0.002)\n"


def test_a_kill_at_a_line_and_a_forced_order(tmp_path: Path) -> None:
    run, shown = played(tmp_path, {"experiment.py": EXPERIMENT, "count.py": COUNT})
    printed = {name: [r.text for r in run.records if r.machine == name and r.stream == "stdout"]
               for name in ("pull-1", "pull-2")}  # fmt: skip
    assert printed["pull-1"] == [str(n) for n in range(1, 51)]
    assert len(printed["pull-2"]) == 20_000
    said = [(e.details.get("fault", e.details.get("repair")), e.details.get("line"), e.machine)
            for e in run.events if e.event in ("fault", "repair")]  # fmt: skip
    assert said == [
        ("hold", 3, "pull-2"),
        ("kill", 50, "pull-1"),
        ("hold", 9, "pull-2"),
        ("release", None, "pull-2"),
    ]
    assert all(e.details["verified"] for e in run.events if e.event in ("fault", "repair"))
    assert "count on pull-1 was killed at its line 50" in shown


@pytest.mark.slow
def test_a_kernel_that_refuses(tmp_path: Path) -> None:
    """The programs are paused and killed as soon as their lines have come."""
    module = EXPERIMENT.replace("other.wait()", "lab.end(other)")
    files = {"experiment.py": module, "count.py": SLOWLY}
    run, shown = played(tmp_path, files, within=(sys.executable, "-c", REFUSING))
    faults = [e for e in run.events if e.event == "fault" and "line" in e.details]
    said = [(e.details["fault"], e.details["line"]) for e in faults]
    assert said == [("pause", 3), ("kill", 50), ("pause", 9)]
    for fault in faults:
        assert fault.details["verified"]
        assert fault.details["late_because"] == "seccomp: Operation not permitted"
    printed = [r for r in run.records if r.machine == "pull-1" and r.stream == "stdout"]
    assert faults[1].details["late_lines"] == len(printed) - 50
    assert "as it can't be held there: seccomp: Operation not permitted" in " ".join(shown.split())


def test_where_lines_cannot_be_held_the_run_says_how_late(
    play: Play, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    notes = {"not-held": "seccomp: Operation not permitted", "free": "1 1"}
    monkeypatch.setattr(FakeRemote, "notes", lambda *_: notes)
    monkeypatch.setattr(FakeRemote, "released_at", lambda *_, **__: SimpleNamespace(t=1, m=1),
                        raising=False)  # fmt: skip
    monkeypatch.setattr(FakeProcess, "order", lambda self, text: orders.append(text), raising=False)
    orders: list[str] = []

    def script(process: Any) -> None:
        process.prints("1 a", "2 b", "3 c")
        process.wait()

    done = play(
        untraced(script),
        untraced(script),
        scenario="worker = lab.start('work', on='pull-1', held=True); lab.kill(worker, at=1)",
    )
    (kill,) = [e for e in done.stored.events if e.event == "fault"]
    assert orders == ["count 1"]
    assert (kill.details["line"], kill.details["late_lines"]) == (1, 2)
    assert EventDescriber().describe(kill) == (
        "work.2 on pull-1 was killed 2 lines after its line 1, as it can't be held there:"
        " seccomp: Operation not permitted"
    )


def test_a_program_that_was_paused_in_place_of_held_goes_on_to_its_next_line(
    play: Play, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    notes = {"not-held": "seccomp: Operation not permitted"}
    monkeypatch.setattr(FakeRemote, "notes", lambda *_: notes)
    monkeypatch.setattr(FakeProcess, "order", lambda *_: None, raising=False)

    def script(process: Any) -> None:
        process.prints("1 a")
        process.wait(lambda: signal.SIGSTOP in process.signals)
        process.prints("2 b")
        process.wait()

    done = play(
        untraced(script),
        untraced(script),
        scenario="worker = lab.start('work', on='pull-1', held=True)\n"
        "    lab.hold(worker, at=1); lab.hold(worker, at=2)",
    )
    said = [e.details.get("fault", e.details.get("repair")) for e in done.stored.events]
    assert [name for name in said if name] == ["pause", "resume", "pause"]


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("lab.kill(source, at=3)", "it was not started for that, or was released"),
        ("lab.hold(source, at='')", "'' names no line"),
    ],
)
def test_what_cannot_be_held_at_a_line_is_a_mistake(
    play: Play, impatient: None, scenario: str, says: str
) -> None:
    done = play(untraced(FakeProcess.wait), untraced(FakeProcess.wait), scenario=scenario)
    assert says in str(done.error)
