"""Triggers and counts while output comes from several threads at once, without a lab."""

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_machine import FakeMachines

from pushpull.core.records import Event, Record
from pushpull.engine.build import Parts
from pushpull.engine.ending import Plan
from pushpull.engine.fault_schedule import FaultSchedule
from pushpull.engine.faults import Faults
from pushpull.engine.monitor import LimitReached, RunMonitor
from pushpull.engine.scenario import Lab
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory

PLACE = ("pull-1", "pull")


class GatedView:
    """A view that holds the thread that captures, between the disk and what waits for the line."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def records(self, records: Sequence[Record]) -> None:
        self.entered.set()
        assert self.gate.wait(30)

    def event(self, event: Event) -> None: ...


class Watched:
    """A monitor over one stream of one process, and the lab that waits on it."""

    def __init__(self, root: Path, reads: Any = None, plan: Plan | None = None) -> None:
        self.view = GatedView()
        self.run = RunDirectory.create(root, "watched", {})
        self.plan = plan or Plan(count=20, interval=0.0, takes=0.0)
        self.monitor = RunMonitor(self.run, self.view, reads, {}, self.plan)
        self.stream = Capture(self.run, self.monitor.records).open(*PLACE, "stdout")
        self.process: Any = SimpleNamespace(
            place=PLACE,
            ended=False,
            paused=False,
            ended_by="itself",
            program=SimpleNamespace(traces_messages=False),
        )
        self.manager: Any = SimpleNamespace(
            processes=[self.process], warm_up=lambda: None, monitor=self.monitor
        )
        self.faults = Faults.of(FakeMachines(), self.manager)
        schedule = FaultSchedule.of(self.manager, self.faults)
        parts = Parts(
            monitor=self.monitor, manager=self.manager, faults=self.faults, schedule=schedule
        )
        self.lab = Lab(parts, variant="", count=20, interval=0.0)

    def prints(self, *lines: int) -> None:
        self.stream.feed(b"".join(b"%d\n" % line for line in lines))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def in_a_thread(do: Any) -> threading.Thread:
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    return thread


def test_a_chunk_on_the_disk_that_is_not_processed_yet_counts_once(watched: Watched) -> None:
    watched.prints(0, 1)
    watched.view.gate.clear()
    watched.view.entered.clear()
    feeding = in_a_thread(lambda: watched.prints(2, 3, 4))
    assert watched.view.entered.wait(30)  # on the disk, on its way to who waits
    fired = threading.Event()
    waiting = in_a_thread(lambda: (watched.lab.more([watched.process], lines=5), fired.set()))
    while not watched.monitor.ledger._looks:
        threading.Event().wait(0.001)
    watched.view.gate.set()
    feeding.join(30)
    watched.prints(5)
    assert not fired.is_set()  # four more came so far
    watched.prints(6)
    waiting.join(30)
    trigger = watched.faults.log.trigger
    assert trigger is not None
    assert trigger.text == "6"


def test_first_finds_earlier_lines_and_is_unsubscribed(watched: Watched) -> None:
    watched.prints(*range(10))
    watched.lab.first([watched.process], prints=lambda line: line == "7")
    assert watched.faults.log.trigger.text == "7"  # type: ignore[union-attr]
    assert not watched.monitor.ledger._looks


def test_a_trigger_that_raises_ends_the_wait_but_not_the_capture(watched: Watched) -> None:
    def broken(line: str) -> bool:
        raise ZeroDivisionError

    def wait() -> None:
        with pytest.raises(ZeroDivisionError):
            watched.lab.first([watched.process], prints=broken)

    waiting = in_a_thread(wait)
    while not watched.monitor.ledger._looks:
        threading.Event().wait(0.001)
    watched.prints(0, 1)
    waiting.join(30)
    assert watched.stream.bytes == 4
    assert not watched.monitor.ledger._looks


def test_many_concurrent_streams_and_triggers_lose_and_duplicate_nothing(watched: Watched) -> None:
    """Of 4 x 500 lines each of 20 triggers fires at its own line, whenever it was set."""
    capture = Capture(watched.run, watched.monitor.records)
    streams = [capture.open(f"machine-{k}", "pull", "stdout") for k in range(4)]

    def print_all(k: int) -> None:
        for n in range(500):
            streams[k].feed(b"%d\n" % n)

    feeding = [in_a_thread(lambda k=k: print_all(k)) for k in range(4)]
    for n in range(0, 500, 25):
        found = watched.lab.first(
            [SimpleNamespace(**vars(watched.process) | {"place": (f"machine-{n % 4}", "pull")})],  # type: ignore[list-item]
            prints=lambda line, n=n: line == str(n),  # type: ignore[misc]
        )
        assert found.place == (f"machine-{n % 4}", "pull")
    for thread in feeding:
        thread.join(30)
    places = [(f"machine-{k}", "pull") for k in range(4)]
    assert watched.monitor.ledger.printed(places) == 2000


def test_a_stalled_run_is_given_up_and_its_setup_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.engine.ending._LIMIT_EXTRA_S", 0.1)
    monkeypatch.setattr("pushpull.engine.ending._STALLED_S", 0.1)
    watched = Watched(tmp_path)
    threading.Event().wait(0.15)  # a long set-up
    watched.monitor.begin()
    assert watched.monitor.wait(lambda: True, "nobody")
    with pytest.raises(LimitReached, match="somebody"):
        watched.monitor.wait(lambda: False, "somebody")


def test_the_limit_does_not_count_until_programs_are_ready(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker may take a minute to start, in a run of ten seconds."""
    now = [1000.0]
    monkeypatch.setattr("pushpull.engine.monitor.time.monotonic", lambda: now[0])

    def starts_slowly() -> bool:
        now[0] += 60
        return True

    watched.monitor.begin()
    assert watched.monitor.started_within(120, starts_slowly)
    assert not watched.monitor.wait(lambda: False, "somebody", lambda last: last)
    now[0] += 60
    with pytest.raises(LimitReached):
        watched.monitor.wait(lambda: False, "somebody")


def test_the_limit_does_not_cut_short_the_silence_that_tells_more(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fault a loss takes 10 s of silence, and a run of no planned length has no more."""
    now = [1000.0]
    monkeypatch.setattr("pushpull.engine.monitor.time.monotonic", lambda: now[0])
    monkeypatch.setattr(watched.monitor.news, "wait", lambda s: now.__setitem__(0, now[0] + s))
    watched.monitor.begin()
    limit = watched.monitor.plan.limit(1000.0, 1000.0, 1000.0)
    assert not watched.monitor.wait(lambda: False, "somebody", lambda last: limit + 5)
    assert now[0] == limit + 5
    watched.monitor.notify()  # a line after the limit begins no further silence
    with pytest.raises(LimitReached):
        watched.monitor.wait(lambda: False, "somebody", lambda last: last + 5)


def test_time_in_which_we_were_stopped_is_neither_silence_nor_part_of_the_limit(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait wakes an hour late; what came meanwhile is only then delivered."""
    late, naps = [3600.0], []

    def nap(timeout: float) -> None:
        naps.append(timeout)
        now[0] += timeout + (late.pop() if late else 0.0)

    now = [0.0]
    monkeypatch.setattr("pushpull.engine.monitor.time.monotonic", lambda: now[0])
    watched.monitor.begin()
    monkeypatch.setattr(watched.monitor.news, "wait", nap)
    assert not watched.monitor.wait(lambda: False, "nobody", lambda last: last + 0.5)
    assert len(naps) > 2  # it waited for half a second of its own after it was stopped
    assert 3600.5 < now[0] < 3602
