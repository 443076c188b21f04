"""Whole runs on machines in memory, one of which has another clock than ours, or lies about it."""

import io
import time
from typing import Any

import pytest
from engine_play import COUNT, MESSAGES, Play
from fake_machine import FakeProcess, FakeRemote, Script, Wire, puller, pusher

from pushpull.analysis.history import Run
from pushpull.core.clock import Moment
from pushpull.core.errors import ExitCode, LabError
from pushpull.experiments import catalogue
from pushpull.machines import clock_offset
from pushpull.report import page

AHEAD_S = 253_370_764_800 - time.time()  # it is the first of January 9999 there
BEHIND_S = 10.0 - time.time()  # and ten seconds after the beginning of 1970


class Answers(io.StringIO):
    """What a machine answers that is asked for its time."""

    def __init__(self, ahead_s: float) -> None:
        super().__init__()
        self._ahead_s = ahead_s

    def readline(self, *_: Any) -> str:
        return f"{time.time() + self._ahead_s!r}\n"

    def sendall(self, _: bytes) -> None: ...

    def makefile(self, _: str) -> "Answers":
        return self


def there(monkeypatch: pytest.MonkeyPatch, says_s: float) -> None:
    """Let pull-1 be another computer, which says that its clock is so far ahead of ours."""

    def read(self: FakeRemote, path: str) -> str:
        boot = "another" if self.name == "pull-1" else clock_offset.our_boot_id()
        return boot if "boot_id" in path else "fake\n"

    monkeypatch.setattr(FakeRemote, "read", read)

    def talk(self: FakeRemote, argv: list[str]) -> Any:
        if "time.time" in argv[-1]:
            return Answers(says_s)
        raise LabError("its lateness isn't measured here")

    monkeypatch.setattr(FakeRemote, "talk", talk)


def traced(script: Script, ahead_s: float) -> Script:
    """Return the script of a program whose traces have the times of such a clock."""

    def ahead(process: FakeProcess) -> int | None:
        def traces(event: str, **details: Any) -> None:
            words = "".join(f', "{key}": {value}' for key, value in details.items())
            line = f'{{"t": {time.time() + ahead_s!r}, "event": "{event}"{words}}}'
            process.prints(line, stream="stderr")

        process.traces = traces  # type: ignore[method-assign]
        return script(process)

    return ahead


@pytest.mark.parametrize("ahead_s", [AHEAD_S, BEHIND_S, 3600.0], ids=["9999", "1970", "hour"])
def test_a_clock_that_is_far_from_ours(
    play: Play, monkeypatch: pytest.MonkeyPatch, ahead_s: float
) -> None:
    there(monkeypatch, ahead_s)
    wire = Wire()
    done = play(pusher(wire, range(COUNT)), traced(puller(wire), ahead_s))
    assert done.code == ExitCode.EXPECTED, done.verdicts
    run = Run(done.stored, MESSAGES)
    taken = {m.number: m.t - run.offsets[m.machine] for m in run.taken}
    assert all(abs(taken[number] - run.dealt[number]) < 5 for number in range(COUNT))
    (ready,) = (e for e in done.stored.events if e.event == "ready" and e.machine == "pull-1")
    assert abs(ready.t - time.time()) < 60
    made = page.make(done.stored.path, catalogue.reader).read_text()
    assert time.strftime("%Y, %H:", time.gmtime(done.stored.description["started"])) in made


@pytest.mark.parametrize("says_s", [AHEAD_S, BEHIND_S], ids=["9999", "1970"])
@pytest.mark.parametrize("ahead_s", [AHEAD_S, BEHIND_S, 0.0], ids=["9999", "1970", "now"])
def test_a_machine_that_says_one_time_and_traces_another(
    play: Play, monkeypatch: pytest.MonkeyPatch, says_s: float, ahead_s: float
) -> None:
    """What it says can be of no use, but it spoils neither the run nor its page."""
    there(monkeypatch, says_s)
    monkeypatch.setattr(FakeRemote, "stopped_at", lambda *_, **__: Moment(1e300, float("nan")))
    wire = Wire()
    scenario = "source.wait(); lab.pause(worker); lab.resume(worker)"
    done = play(pusher(wire, range(COUNT)), traced(puller(wire), ahead_s), scenario=scenario)
    assert done.verdicts["once"][0] == "holds"
    assert done.error is None
    assert not [e for e in done.stored.events if e.details.get("verified")]
    assert page.make(done.stored.path, catalogue.reader).exists()
