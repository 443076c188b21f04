"""Programs that fail before they handle a message end the run at once, with the cause."""

import pytest
from engine_play import COUNT, Play
from fake_machine import FakeProcess, Script, Wire, puller, pusher

from pushpull.core.errors import ExitCode


def fails(*stdout: str) -> Script:
    def script(process: FakeProcess) -> int:
        process.prints(*stdout)
        process.prints("ImportError: no module", stream="stderr")
        return 3

    return script


def waits_for_a_receiver(process: FakeProcess) -> int:
    process.prints("0")
    process.wait()
    return 0


def ends_soon(process: FakeProcess) -> int:
    process.prints("0")
    return 0


@pytest.mark.parametrize("scenario", ["source.wait()", "lab.first(worker, prints=bool)", "pass"])
@pytest.mark.parametrize("said", [(), ("I begin",)])
def test_a_sender_does_not_wait_for_workers_that_failed_at_once(
    play: Play,
    said: tuple[str, ...],
    scenario: str,
) -> None:
    if said and "first" in scenario:
        scenario = "lab.first(worker, prints=lambda line: line == '1')"
    done = play(waits_for_a_receiver, fails(*said), workers=2, scenario=scenario)
    assert done.code == ExitCode.MISTAKE
    assert done.error is not None
    assert str(done.error).splitlines()[0] == (
        "machines pull-1 and pull-2: work ended by itself, with exit status 3, before it handled a"
        " message"
    )
    assert "ImportError: no module" in done.error.output


def test_so_it_is_where_all_programs_have_ended(play: Play) -> None:
    done = play(ends_soon, fails())
    assert done.code == ExitCode.MISTAKE
    assert "work ended by itself, with exit status 3" in str(done.error)


@pytest.mark.parametrize("source", [ends_soon, pusher(Wire(), range(COUNT))])
def test_a_bad_exit_status_of_a_program_that_nobody_waits_for_is_its_own(
    play: Play,
    source: Script,
) -> None:
    done = play(source, fails("ran"))
    assert done.error is None


def test_one_of_two_workers_may_fail(play: Play) -> None:
    wire = Wire()
    work = iter([fails(), puller(wire)])
    done = play(pusher(wire, range(COUNT)), lambda process: next(work)(process), workers=2)
    assert done.error is None
    assert done.verdicts["once"][0] == "holds"
