"""Whole runs on machines in memory: what the lab itself does is never told as a message's fate."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_machine import FakeMachines, FakeProcess, FakeRemote, Script, Wire, puller, pusher

from lab import catalogue, ending, finish, runner
from lab.claims import Run
from lab.errors import ExitCode, LabError
from lab.reading import lines
from lab.records import Event, Record
from lab.runs import StoredRun, load
from lab.wish import Wish

COUNT = 6
MESSAGES = lines(sent={"src": r"(\d+)"}, received={"work": r"(\d+) .*"})
MINE = '''"""Of the test's own."""
from lab.claims import exactly_once, never_twice
from lab.experiment import Verdict, claim, experiment
from lab.reading import lines


MESSAGES = lines(sent={{"src": r"(\\d+)"}}, received={{"work": r"(\\d+) .*"}})


@experiment(
    source="s",
    reads=MESSAGES,
    count=6,
    interval=0,
    takes={takes},
    machines={{"puller": {pullers}}},
)
def mine(lab):
    worker = lab.start("work", on="puller", to="pusher")
    source = lab.start("src", on="pusher")
    {scenario}


@claim("Each comes once.")
def once(run):
    return exactly_once(run, run.planned)


@claim("None comes twice.")
def twice(run):
    return never_twice(run)


@claim("Whatever it is about, it takes less than a day.", timed=True)
def quick(run):
    return Verdict.holds("It did.")
'''


class NoView:
    """A view that shows nothing."""

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


class Done:
    """A run that was done: its result, and what is stored of it."""

    def __init__(self, result: runner.Result, stored: StoredRun) -> None:
        self.code, self.note, self.error = result.code, result.note, result.error
        self.stored = stored
        self.verdicts = {
            v["id"].partition(".")[2]: (v["verdict"], v["why"]) for v in result.verdicts
        }

    def exits(self) -> dict[str, tuple[int | None, str]]:
        return {
            event.process: (event.details["status"], event.details["by"])
            for event in self.stored.events
            if event.event == "exit"
        }


Play = Callable[..., Done]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(
        source: Script,
        work: Script,
        *,
        scenario: str = "source.wait()",
        takes: float = 0.0,
        pullers: int = 1,
    ) -> Done:
        folder = tmp_path / "mine"
        folder.mkdir()
        text = MINE.format(scenario=scenario, takes=takes, pullers=pullers)
        (folder / "experiment.py").write_text(text)
        for name in ("src.sh", "work.sh"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        push = FakeRemote("push", "pusher", {"src": source}, 161)
        pull = FakeRemote("pull-1", "puller", {"work": work}, 162)
        machines = FakeMachines(push, pull)
        wish = Wish(
            experiment=catalogue.load(str(folder)),
            variant="",
            count=None,
            interval=None,
            options=(),
            packets=False,
            call="call",
            command="./fab",
        )
        view: Any = NoView()
        result = runner.run(
            wish, machines, machines.remotes, view, tmp_path / "runs", meanwhile=lambda: None
        )
        return Done(result, load(result.path))

    return run


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence ends a run at once: for tests in which there is nothing that could still come."""
    for name in ("QUIET_S", "PATIENCE_S", "AT_WORK_S"):
        monkeypatch.setattr(ending, name, 0.05)
    monkeypatch.setattr(finish, "AT_WORK_S", 0.05)


def untraced(script: Script) -> Script:
    """Return the script of a program that knows nothing of traces."""

    def quietly(process: FakeProcess) -> int | None:
        process.traces = lambda event, **details: None  # type: ignore[method-assign]
        return script(process)

    return quietly


def test_a_run_that_comes_to_its_own_end(play: Play) -> None:
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert done.code == ExitCode.EXPECTED, done.verdicts
    assert done.stored.state == "finished"
    assert "cut" not in done.stored.description
    assert done.exits() == {"src": (0, "itself"), "work": (143, "harness")}


def test_a_worker_slower_than_the_silence_of_a_settled_run_is_heard_to_its_end(play: Play) -> None:
    """It takes longer over its last message than the half second that ended runs once."""
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == COUNT - 1:
            threading.Event().wait(1.4 * ending.QUIET_S)

    done = play(pusher(wire, range(COUNT)), untraced(puller(wire, work)))
    assert done.code == ExitCode.EXPECTED, done.verdicts


def test_a_number_that_is_sent_twice_is_waited_for_twice(play: Play) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        threading.Event().wait(0.1)

    done = play(pusher(wire, [*range(COUNT), 3, 3]), puller(wire, work))
    assert sum(record.text == "3 , 1.0" for record in done.stored.records) == 3


def test_what_a_receiver_still_holds_when_we_end_it_is_not_lost(
    play: Play, impatient: None
) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == COUNT - 1:
            process.wait()  # for ever

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.code == ExitCode.NOT_OBSERVED
    verdict, why = done.verdicts["once"]
    assert verdict == "not observed"
    assert "work on pull-1" in why
    assert "message 5" in why
    assert done.stored.state == "interrupted"
    assert done.stored.description["cut"] == why


def test_silence_of_a_program_that_traces_nothing_is_no_loss(play: Play, impatient: None) -> None:
    wire = Wire()
    done = play(untraced(pusher(wire, range(COUNT))), untraced(lambda process: process.wait()))
    assert done.code == ExitCode.NOT_OBSERVED
    assert {verdict for verdict, _ in done.verdicts.values()} == {"not observed"}


def test_what_an_idle_receiver_never_got_is_lost(play: Play, impatient: None) -> None:
    """By its traces it holds nothing: then silence says that nothing more comes."""
    wire = Wire()

    def source(process: FakeProcess) -> None:
        process.prints("0")  # printed, and never sent
        pusher(wire, range(1, COUNT))(process)

    done = play(source, puller(wire))
    assert done.code == ExitCode.UNEXPECTED
    assert done.verdicts["once"] == ("refuted", "Message 0 was received by nobody.")
    assert done.stored.state == "finished"


def test_what_it_passed_over_is_lost(play: Play, impatient: None) -> None:
    wire = Wire()
    taken: list[int] = []

    def worker(process: FakeProcess) -> None:
        while True:
            number = wire.take(process)
            process.traces("received", number=number)
            taken.append(number)
            if number != 2:
                process.prints(f"{number} , 1.0")

    done = play(pusher(wire, range(COUNT)), worker)
    assert done.verdicts["once"] == ("refuted", "Message 2 was received by nobody.")


def test_a_death_explains_what_is_missing(play: Play, impatient: None) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == 3:
            process.wait()

    done = play(
        untraced(pusher(wire, range(COUNT))),
        untraced(puller(wire, work)),
        scenario="source.wait(); lab.kill(lab.first(worker, prints=lambda line: line[0] == '2'))",
    )
    assert done.stored.state == "finished"
    assert done.verdicts["once"][0] == "refuted"
    assert "3 to 5" in done.verdicts["once"][1]


def test_messages_that_come_when_we_end_programs_make_it_a_cut_run(
    play: Play, impatient: None
) -> None:
    wire = Wire()

    def work(process: FakeProcess) -> int:
        numbers = [wire.take(process) for _ in range(COUNT)]
        while signal.SIGTERM not in process.signals:
            threading.Event().wait(0.001)
        process._outputs["stdout"]("".join(f"{n} , 1.0\n" for n in numbers).encode())
        return 0

    done = play(untraced(pusher(wire, range(COUNT))), work, takes=0.2)
    assert done.code == ExitCode.NOT_OBSERVED
    assert "only when the lab had begun to end" in done.verdicts["once"][1]


def test_in_a_run_over_its_limit_only_what_is_final_is_told(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_LIMIT_EXTRA_S", 0.2)
    monkeypatch.setattr(ending, "_STALLED_S", 0.1)
    wire = Wire()

    def source(process: FakeProcess) -> None:
        pusher(wire, [0, 1, 2])(process)
        wire.send(1)  # a second time, on the wire
        process.wait()

    done = play(source, puller(wire))
    assert done.code == ExitCode.NOT_OBSERVED
    assert done.stored.state == "interrupted"
    assert "waited for src on push" in done.stored.description["cut"]
    assert done.verdicts["twice"][0] == "refuted"
    assert done.verdicts["once"] == ("refuted", "Message 1 was received twice.")
    assert done.verdicts["quick"][0] == "not observed"


def test_the_limit_does_not_cut_what_goes_on(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of many messages without a pause takes as long as the machine needs for it."""
    monkeypatch.setattr(ending, "_LIMIT_EXTRA_S", 0.05)
    monkeypatch.setattr(ending, "_A_MESSAGE_S", 30)
    wire = Wire()

    def source(process: FakeProcess) -> None:
        for number in range(COUNT):
            process.prints(str(number))
            wire.send(number)
            threading.Event().wait(0.05)

    done = play(source, puller(wire))
    assert done.code == ExitCode.EXPECTED, done.verdicts


def test_a_machine_that_is_lost_keeps_what_was_decided(play: Play, impatient: None) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == 1:
            process.prints("0 , 1.0")
        if number == 4:
            process.lose()
            process.wait()

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.code == ExitCode.MISTAKE
    assert isinstance(done.error, LabError)
    assert done.exits()["work"] == (None, "lost")
    assert done.verdicts["twice"] == ("refuted", "Message 0 was received more than once.")
    assert done.verdicts["quick"][0] == "not observed"


def test_what_ends_after_we_were_stopped_for_long_was_ended_by_its_lease(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.disturbance.Lateness.stopped_s", lambda self: 36.0)
    wire = Wire()

    def source(process: FakeProcess) -> int:
        pusher(wire, range(3))(process)
        return 137

    done = play(source, puller(wire))
    assert done.exits()["src"] == (137, "lease")
    assert done.code == ExitCode.NOT_OBSERVED
    why = "The lab was suspended for 36 s; its programs were ended by their lease."
    assert done.verdicts["once"] == ("not observed", why)
    assert done.note.startswith(why)


def test_claims_about_time_are_not_observed_in_a_disturbed_run(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.disturbance.Lateness.worst_s", lambda self: 3.0)
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert done.stored.description["disturbance"]["disturbed"]
    assert done.stored.state == "finished"
    assert done.verdicts["once"][0] == "holds"
    assert done.verdicts["quick"][0] == "not observed"
    assert "the lab itself stood still for 3.0 s" in done.verdicts["quick"][1]
    assert "stood still" in done.note


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
    assert "1 line of work on pull-1 of over 64 KiB" in why


def test_too_few_machines_are_told_before_anything_runs(play: Play, tmp_path: Path) -> None:
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


def test_a_run_whose_wall_clock_is_left_alone_says_nothing_of_it(play: Play) -> None:
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert "clock_step_s" not in done.stored.description
    assert "clock" not in done.note
