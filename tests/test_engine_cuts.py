"""Whole runs on machines in memory that something cut short, disturbed or damaged."""

import signal
import threading
import time
from pathlib import Path

import pytest
from engine_play import COUNT, MESSAGES, Play
from fake_machine import FakeProcess, Script, Wire, puller, pusher

from pushpull.analysis.history import Run
from pushpull.core.errors import ExitCode, LabError, MachineLost
from pushpull.engine import ending


def test_losing_a_machine_keeps_what_was_decided(play: Play, impatient: None) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == 1:
            process.prints("0 , 1.0")
        if number == 4:
            process.lose()
            process.wait()

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.code == ExitCode.MISTAKE
    assert isinstance(done.error, MachineLost)
    assert done.exits()["work"] == (None, "lost")
    assert done.verdicts["twice"] == ("refuted", "Message 0 was received more than once.")
    assert done.verdicts["quick"][0] == "not observed"


def test_programs_that_end_while_we_were_stopped_ended_by_their_lease(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.engine.disturbance.Lateness.stopped_s", lambda self: 36.0)
    wire = Wire()

    def source(process: FakeProcess) -> int:
        pusher(wire, range(3))(process)
        return 137

    done = play(source, puller(wire))
    assert done.exits()["src"] == (137, "lease")
    assert done.code == ExitCode.NOT_OBSERVED
    why = "The lab was suspended for 36 s; the lease of its programs ended them."
    assert done.verdicts["once"] == ("not observed", why)
    assert done.note.startswith(why)


def test_claims_about_time_are_not_observed_in_a_disturbed_run(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.engine.disturbance.Lateness.worst_s", lambda self: 3.0)
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert done.stored.description["disturbance"]["disturbed"]
    assert done.stored.state == "finished"
    assert done.verdicts["once"][0] == "holds"
    assert done.verdicts["quick"][0] == "not observed"
    assert "the lab itself stalled for 3.0 s" in done.verdicts["quick"][1]
    assert "stalled" in done.note


def test_lines_that_are_too_long_to_be_read_are_not_lost_messages(
    play: Play, impatient: None
) -> None:
    wire = Wire()

    def worker(process: FakeProcess) -> None:
        process.traces("ready")
        while True:
            number = wire.take(process)
            process.traces("received", number=number)
            process.prints(f"{number} , {'x' * 70_000 if number == 3 else 1}")

    done = play(pusher(wire, range(COUNT)), worker)
    assert done.code == ExitCode.NOT_OBSERVED
    verdict, why = done.verdicts["once"]
    assert verdict == "not observed"
    assert "1 line over 64 KiB (work on pull-1)" in why


@pytest.mark.parametrize("reads", [True, False])
def test_what_a_program_had_to_say_that_we_killed_is_not_known(
    play: Play, impatient: None, reads: bool
) -> None:
    wire = Wire()

    def slowly(process: FakeProcess) -> int:
        """Take all; print none before it is asked to end, and then take too long for it."""
        for _ in range(COUNT):
            wire.take(process)
        while signal.SIGKILL not in process.signals:
            threading.Event().wait(0.002)
        process._outputs["stdout"](b"1")  # of "12 , 1.0"
        return 128 + signal.SIGKILL

    done = play(pusher(wire, range(COUNT)), slowly, takes=0.1, grace=0.1, reads=reads)
    assert done.exits()["work"] == (137, "harness")
    assert done.code == ExitCode.NOT_OBSERVED
    assert done.stored.state == "interrupted"
    assert {verdict for verdict, _ in done.verdicts.values()} == {"not observed"}
    why = done.stored.description["cut"]
    assert why.startswith("The lab killed work on pull-1 0.1 s after SIGTERM")
    assert "grace" in why
    assert "1" not in {r.text for r in done.stored.records if r.process == "work"}


def test_what_a_scenario_ends_itself_has_its_grace_as_well(play: Play) -> None:
    wire = Wire()

    def stubborn(process: FakeProcess) -> int:
        process.prints("up")
        while signal.SIGKILL not in process.signals:
            threading.Event().wait(0.002)
        return 128 + signal.SIGKILL

    scenario = "source.wait(); lab.first(worker, prints=lambda line: line == 'up'); lab.end(worker)"
    done = play(pusher(wire, [0]), stubborn, grace=0.1, scenario=scenario)
    assert done.code == ExitCode.NOT_OBSERVED
    assert done.verdicts["once"][0] == "not observed"


def test_a_program_that_a_fault_kills_cuts_no_run(play: Play, impatient: None) -> None:
    wire = Wire()
    scenario = "source.wait(); lab.kill(worker)"
    done = play(pusher(wire, range(COUNT)), lambda process: process.wait(), scenario=scenario)
    assert done.code == ExitCode.UNEXPECTED
    assert done.verdicts["once"][0] == "refuted"
    assert "cut" not in done.stored.description


def test_receivers_that_never_end_are_all_that_is_left(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody says which lines are messages, so none is in a receiver's hands: silence ends it."""
    monkeypatch.setattr(ending, "PATIENCE_S", 0.05)
    monkeypatch.setattr(ending, "_LIMIT_EXTRA_S", ending.QUIET_S + 2)
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire), reads=False)
    assert "cut" not in done.stored.description
    assert done.stored.state == "finished"
    assert done.verdicts["quick"][0] == "holds"


def test_too_few_machines_are_reported_before_anything_runs(play: Play, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="needs 2 machines with the role puller, there is 1"):
        play(lambda process: None, lambda process: None, pullers=2)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "line", ['{"event": [], "t": 1.0}', '{"event": "ready", "t": 1.0, "x": 1e999}']
)
def test_a_worker_that_prints_something_like_a_trace(play: Play, line: str) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        process.prints(line, stream="stderr")

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.error is None
    assert done.code == ExitCode.EXPECTED, done.verdicts
    said = [record.text for record in done.stored.records if record.stream == "stderr"]
    assert said.count(line) == COUNT


@pytest.mark.parametrize("ends", [("", "\r"), ("[#  ]\r[## ]\r", ""), ("\r", "\r\r")])
def test_programs_that_print_carriage_returns(play: Play, ends: tuple[str, str]) -> None:
    """Their lines are read as a terminal shows them, by a trigger and by the reader."""
    wire = Wire()
    start, end = ends

    def returning(script: Script) -> Script:
        def printing(process: FakeProcess) -> int | None:
            plainly = process.prints

            def prints(*lines: str, stream: str = "stdout") -> None:
                plainly(*(f"{start}{line}{end}" for line in lines), stream=stream)

            process.prints = prints  # type: ignore[method-assign]
            return script(process)

        return printing

    done = play(
        returning(pusher(wire, range(COUNT))),
        returning(puller(wire)),
        scenario='lab.first(source, prints=lambda line: line == "3")\n    source.wait()',
    )
    assert done.code == ExitCode.EXPECTED, done.verdicts
    assert {r.text for r in done.stored.records if r.process == "src" and r.stream == "stdout"} == {
        f"{start}{number}{end}" for number in range(COUNT)
    }
    (trigger,) = (event for event in done.stored.events if event.event == "trigger")
    assert trigger.details["text"] == "3"


def test_a_wall_clock_that_is_set_back_during_a_run(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every time of the run, the lab's and the programs', goes on; the step is noted."""
    wire, true = Wire(), time.time
    halfway = COUNT // 2

    def work(process: FakeProcess, number: int) -> None:
        if number == halfway:
            monkeypatch.setattr(time, "time", lambda: true() - 5.0)

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.code == ExitCode.EXPECTED, done.verdicts
    assert done.stored.description["clock_step_s"] == pytest.approx(-5.0, abs=0.05)
    assert "clock was set back by 5.0" in done.note
    for name in ("src", "work"):
        times = [record.t for record in done.stored.records if record.process == name]
        assert times == sorted(times)
    run = Run(done.stored, MESSAGES)
    taken = {message.number: message.t for message in run.taken}
    assert taken.keys() == run.dealt.keys() == set(range(COUNT))
    assert all(taken[number] >= run.dealt[number] for number in taken)
    assert list(taken.values()) == sorted(taken.values())
    assert max(event.t for event in done.stored.events) >= max(taken.values())


def test_a_run_whose_wall_clock_is_left_alone_has_no_note(play: Play) -> None:
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert "clock_step_s" not in done.stored.description
    assert "clock" not in done.note
