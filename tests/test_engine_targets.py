"""The target of a fault may be a process, a machine, a role, or chosen by what was observed."""

import itertools
import threading
from collections.abc import Sequence

import pytest
from engine_play import COUNT, Done, Play, untraced
from fake_machine import FakeProcess, Script

from pushpull.core.errors import ExitCode


class Workers:
    """Two workers of which the first receives all messages but the last, which the second gets."""

    def __init__(self) -> None:
        self._started = itertools.count()
        self._first_done = threading.Event()

    def script(self, process: FakeProcess) -> None:
        mine = [range(COUNT - 1), [COUNT - 1]][next(self._started)]
        if mine[0]:
            process.wait(self._first_done.is_set)
        for number in mine:
            process.prints(f"{number} , 1.0")
        self._first_done.set()
        process.wait()


def source(process: FakeProcess) -> None:
    process.prints(*map(str, range(COUNT)))


def faults(done: Done) -> list[tuple[str, str, str]]:
    """Return machine, process and name of each fault, in order."""
    return [
        (event.machine, event.process, event.details["fault"])
        for event in done.stored.events
        if event.event == "fault"
    ]


def played(play: Play, scenario: str, work: Script | None = None) -> Done:
    return play(untraced(source), untraced(work or Workers().script), scenario=scenario, workers=2)


FIRST, SECOND = ("pull-1", "work", "kill"), ("pull-2", "work", "kill")


@pytest.mark.parametrize(
    ("target", "struck"),
    [
        ("list(worker)[1]", [SECOND]),
        ("worker", [FIRST, SECOND]),
        ("list(worker)", [FIRST, SECOND]),
        (f"lambda seen: seen.last_receiver if seen.received >= {COUNT} else None", [SECOND]),
        (f"lambda seen: seen.received >= {COUNT} and worker or None", [FIRST, SECOND]),
        (
            f"lambda seen: max(worker, key=seen.received_by) if seen.received == {COUNT} else None",
            [FIRST],
        ),
        ("lambda seen: min(worker, key=seen.received_by) if seen.received else None", [SECOND]),
    ],
)
def test_a_process_is_named_or_chosen(
    play: Play, impatient: None, target: str, struck: Sequence[tuple[str, str, str]]
) -> None:
    assert faults(played(play, f"lab.kill({target})")) == struck


@pytest.mark.parametrize(
    ("target", "struck"),
    [
        ("list(worker)[1]", ["pull-2"]),
        ("worker", ["pull-1", "pull-2"]),
        ("'pull-2'", ["pull-2"]),
        ("'puller'", ["pull-1", "pull-2"]),
        ("['pull-2', list(worker)[1], 'puller']", ["pull-2", "pull-1"]),
        (f"lambda seen: seen.last_receiver if seen.received >= {COUNT} else None", ["pull-2"]),
        (f"lambda seen: 'puller' if seen.sent == {COUNT} else None", ["pull-1", "pull-2"]),
    ],
)
def test_a_machine_is_named_or_chosen(
    play: Play, impatient: None, target: str, struck: Sequence[str]
) -> None:
    done = played(play, f"lab.cut_cable({target})")
    assert [machine for machine, *_ in faults(done)] == struck


def test_the_first_receiver_is_waited_for(play: Play, impatient: None) -> None:
    done = played(play, "lab.kill(lambda seen: seen.last_receiver)")
    assert len(faults(done)) == 1


def test_a_function_that_never_chooses_ends_the_scenario(play: Play, impatient: None) -> None:
    done = played(play, "lab.kill(lambda seen: None)")
    assert faults(done) == []
    assert "never returned one" in done.note


def test_what_is_paused_by_choice_is_resumed_and_started_again(play: Play, impatient: None) -> None:
    scenario = (
        "lab.pause(lambda seen: seen.last_receiver); lab.resume(worker);"
        " lab.terminate(worker); lab.start_again(lambda seen: seen.last_receiver)"
    )
    done = play(untraced(source), untraced(_endless), scenario=scenario)
    repairs = [e.details["repair"] for e in done.stored.events if e.event == "repair"]
    assert repairs == ["resume", "start again"]


def _endless(process: FakeProcess) -> None:
    process.prints("0 , 1.0")
    process.wait()


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("lab.kill('pull-1')", "'pull-1' is not a process"),
        ("lab.kill(7)", "7 is not a process"),
        ("lab.cut_cable(7)", "7 is not a machine"),
        ("lab.kill(lambda seen: 7)", "7 is not a process"),
        ("lab.cut_cable('pull-3')", "no machine has the name or the role 'pull-3'"),
        ("lab.inject('cutcable', 'pull-1')", "did you mean 'cut_cable'?"),
        ("lab.start_again(worker)", "needs one process, but the target has 2"),
        ("lab.fetch('puller', 'x')", "needs one machine, but the target has 2"),
        ("lab.kill(lambda seen: 1 / 0)", "ZeroDivisionError"),
    ],
)
def test_a_wrong_target_is_a_mistake_with_its_line(
    play: Play, impatient: None, scenario: str, says: str
) -> None:
    done = played(play, scenario, _endless)
    assert done.code == ExitCode.MISTAKE
    assert says in str(done.error)
    assert "experiment.py:20" in str(done.error)


def test_a_scenario_cannot_reach_the_parts_behind_the_lab(play: Play, impatient: None) -> None:
    public = "[name for name in vars(lab) if not name.startswith('_')]"
    scenario = (
        f"assert sorted({public}) == ['count', 'interval', 'parameters', 'variant']; source.wait()"
    )
    assert played(play, scenario).error is None
