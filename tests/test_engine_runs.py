"""Whole runs on machines in memory: the lab never reports its own doing as a message's fate."""

import signal
import threading
from pathlib import Path

import pytest
from engine_play import COUNT, Play, untraced
from fake_machine import FakeProcess, Wire, puller, pusher

from pushpull.analysis.event_text import EventDescriber
from pushpull.analysis.line_readers import nothing
from pushpull.core.errors import ExitCode
from pushpull.core.records import GIVEN_UP
from pushpull.engine import ending
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.report.page import page
from pushpull.report.vega_bundle import kit


def test_a_run_that_ends_as_planned(play: Play) -> None:
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), puller(wire))
    assert done.code == ExitCode.EXPECTED, done.verdicts
    assert done.stored.state == "finished"
    assert "cut" not in done.stored.description
    assert done.exits() == {"src": (0, "itself"), "work": (143, "harness")}


def test_a_claim_that_raises_costs_no_other_claim_and_no_run(play: Play) -> None:
    wire = Wire()
    broken = """source.wait()


@claim("It raises.")
def broken(run):
    return 1 / 0  # the mistake
"""
    done = play(pusher(wire, range(COUNT)), puller(wire), scenario=broken)
    assert done.code == ExitCode.MISTAKE
    assert done.stored.state == "finished"
    verdicts = {name: verdict for name, (verdict, _) in done.verdicts.items()}
    assert verdicts == dict.fromkeys(("once", "twice", "quick"), "holds") | {
        "broken": "not observed"
    }
    assert "ZeroDivisionError" in done.verdicts["broken"][1]
    assert done.error
    assert f"report --judge --run {done.stored.path}" in done.error.hint
    module = Path(done.stored.description["module"])
    module.write_text(module.read_text().replace("1 / 0", "Verdict.holds('It does not.')"))
    again = judge(done.stored, catalogue.load(str(module)), partial=False)
    assert {verdict["verdict"] for verdict in again} == {"holds"}


def test_the_lab_waits_for_a_worker_slower_than_the_silence_of_a_settled_run(play: Play) -> None:
    """It takes longer over its last message than the half second that ended runs once."""
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == COUNT - 1:
            threading.Event().wait(1.4 * ending.QUIET_S)

    done = play(pusher(wire, range(COUNT)), untraced(puller(wire, work)))
    assert done.code == ExitCode.EXPECTED, done.verdicts


def test_a_scenario_that_is_given_up_is_no_success(play: Play) -> None:
    """All claims hold; but the fault that they are about never came."""
    wire = Wire()
    scenario = 'lab.kill(lab.first(source, prints=lambda line: line == "99"))'
    done = play(pusher(wire, range(COUNT)), puller(wire), scenario=scenario)
    assert {verdict for verdict, _ in done.verdicts.values()} == {"holds"}
    assert done.code == ExitCode.NOT_OBSERVED
    why = "src on push never printed the line that is the trigger"
    assert done.stored.description["given_up"] == f"The scenario was given up: {why}."
    (event,) = [event for event in done.stored.events if event.event == GIVEN_UP]
    assert event.details["why"] == why
    assert EventDescriber().describe(event) == f"the scenario was given up: {why}"
    assert f"The scenario was given up: {why}." in page(done.stored, nothing, kit())


def test_a_number_that_is_sent_twice_is_waited_for_twice(play: Play) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        threading.Event().wait(0.1)

    done = play(pusher(wire, [*range(COUNT), 3, 3]), puller(wire, work))
    assert sum(record.text == "3 , 1.0" for record in done.stored.records) == 3


def test_messages_that_a_receiver_holds_when_we_end_it_are_not_lost(
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


def test_silence_of_a_program_without_traces_is_not_a_loss(play: Play, impatient: None) -> None:
    wire = Wire()
    done = play(untraced(pusher(wire, range(COUNT))), untraced(lambda process: process.wait()))
    assert done.code == ExitCode.NOT_OBSERVED
    assert {verdict for verdict, _ in done.verdicts.values()} == {"not observed"}


def test_messages_that_an_idle_receiver_never_got_are_lost(play: Play, impatient: None) -> None:
    """By its traces it holds nothing: then silence says that nothing more comes."""
    wire = Wire()

    def source(process: FakeProcess) -> None:
        process.prints("0")  # printed, and never sent
        pusher(wire, range(1, COUNT))(process)

    done = play(source, puller(wire))
    assert done.code == ExitCode.UNEXPECTED
    assert done.verdicts["once"] == ("refuted", "Message 0 was received by nobody.")
    assert done.stored.state == "finished"


def test_messages_that_it_passed_over_are_lost(play: Play, impatient: None) -> None:
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


def test_messages_that_arrive_while_we_end_programs_cut_the_run(
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
    assert "only after the lab had begun to end" in done.verdicts["once"][1]


def test_in_a_run_over_its_limit_only_final_verdicts_count(
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
    assert "waiting for src on push" in done.stored.description["cut"]
    assert done.verdicts["twice"][0] == "refuted"
    assert done.verdicts["once"] == ("refuted", "Message 1 was received twice.")
    assert done.verdicts["quick"][0] == "not observed"


def test_the_limit_does_not_cut_a_run_that_progresses(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
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
