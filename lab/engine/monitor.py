"""What has been observed so far in a run that goes on: kept, shown, and told to whoever waits."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from lab.core.clock import Clock, Moment
from lab.core.errors import RunStoreError
from lab.core.records import Event, Reader, Record
from lab.core.run_schema import LATEST
from lab.core.trace import trace_of
from lab.engine.ending import Plan
from lab.engine.ledger import Ledger, Look
from lab.machines.agent import launcher
from lab.runs.directory import RunDirectory

# What programs tell on stderr that is an event; the rest of their trace stays in the records.
_TRACED = frozenset({"ready", "accepted", "connected", "disconnected", "dies"})

_NAP_S = 0.25  # a wait looks at the clock so often, to notice that we were stopped,
_STOPPED_S = 0.25  # which is so much later than it asked for


class View(Protocol):
    """Where a run is shown while it goes on."""

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


class LimitReached(Exception):
    """The run has taken so long that something must be stuck: `str` says who was waited for."""


class RunMonitor:
    """The meeting point of the threads that capture and the one that plays the scenario.

    Attributes:
        news: the one lock under which all that is known of the run is read and written.
        ledger: the lines and messages that came so far; read it under `news`.
        plan: how long the run is to take.
        connected, faults: how many of these events there were.
    """

    def __init__(
        self,
        run: RunDirectory,
        view: View,
        reads: Reader | None,
        clocks: Mapping[str, Clock],
        plan: Plan,
        meanwhile: Callable[[], None] | None = None,
        stopped_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.news = threading.Condition()
        self.ledger = Ledger()
        self.trouble: BaseException | None = None
        self.connected = self.faults = 0
        self.ready: set[tuple[str, str]] = set()
        self.dying: dict[tuple[str, str], float] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self._run = run
        self._view = view
        self.reads_messages = reads is not None
        self._reads = reads
        self._clocks = clocks
        self._stopped_s = stopped_s
        self.leases_lost = False
        self.plan = plan
        self._meanwhile = [] if meanwhile is None else [meanwhile]
        self._started = self._last_news = self._progress = time.monotonic()

    @property
    def sent(self) -> int:
        """How many messages the programs' lines say were sent."""
        return self.ledger.sent

    @property
    def received(self) -> int:
        """How many messages the programs' lines say were received."""
        return self.ledger.received

    def begin(self) -> None:
        """Count the run's limit from now on: what was set up before is no part of it."""
        with self.news:
            self._started = self._last_news = self._progress = time.monotonic()

    @property
    def planned_end(self) -> float:
        """When the run was to end as planned, on the monotonic clock."""
        return self._started + self.plan.seconds

    def records(self, records: Sequence[Record]) -> None:
        """Take in what was captured; called by the capturing threads."""
        self._view.records(records)
        with self.news:
            self._last_news = time.monotonic()
            before = self.sent + self.received
            try:
                for record in records:
                    self._take_in(record)
            except Exception as error:
                # A reader or trigger of an experiment that fails must not end the capture.
                self.trouble = self.trouble or error
            if self._reads is None or self.sent + self.received > before:
                self._progress = self._last_news
            self.news.notify_all()

    def event(self, event: Event) -> None:
        """Keep, show and tell an event; where it can't be kept, whoever waits is told that."""
        try:
            self._run.event(event)
        except RunStoreError as error:
            self.fail(error)
        self._view.event(event)
        with self.news:
            if event.event == "ready":
                self.ready.add((event.machine, event.process))
                self.versions[event.machine] = event.details
            if event.event == "dies":
                self.dying[event.machine, event.process] = event.t
            self.connected += event.event == "connected"
            self.faults += event.event == "fault"
            self.news.notify_all()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits raise an error: the first one that there was."""
        with self.news:
            self.trouble = self.trouble or error
        self.notify()

    @contextlib.contextmanager
    def looking(self, *looks: Look, back: bool = True) -> Iterator[None]:
        """Let triggers look at each line as it comes, and with `back` at those that came before."""
        try:
            with self.news:
                for look in looks:
                    self.ledger.look(look, back=back)
            yield
        finally:
            with self.news:
                for look in looks:
                    self.ledger.forget(look)

    def wait(
        self,
        done: Callable[[], bool],
        whom: str,
        silent_until: Callable[[float], float] = lambda _: float("inf"),
    ) -> bool:
        """Wait until `done`; or return False when nothing has been captured for long enough.

        `silent_until` returns when that is, by when the last line came (monotonic seconds). `whom`
        names who is waited for, in LimitReached, which a run that takes too long raises.
        """
        with self.news:
            while True:
                if self.trouble is not None:
                    raise self.trouble
                if done():
                    return True
                now = time.monotonic()
                quiet = silent_until(self._last_news)
                end = self.plan.limit(self._started, self._progress)
                if now >= end:
                    raise LimitReached(whom)
                if now >= quiet:
                    return False
                self._nap(min(end, quiet))

    def wait_for_end(self, done: Callable[[], bool], whom: str) -> None:
        """Wait as `wait` does, for the end of programs: there is time for something else."""
        while self._meanwhile:
            threading.Thread(target=self._meanwhile.pop(), daemon=True).start()
        self.wait(done, whom)

    def all_within(self, timeout: float, done: Callable[[], bool]) -> bool:
        """Wait until `done`, at most `timeout` seconds; return whether it is."""
        with self.news:
            result = self._within(timeout, lambda: done() or self.trouble is not None)
            if self.trouble is not None:
                raise self.trouble
            return result

    def settled_within(self, timeout: float, done: Callable[[], bool]) -> bool:
        """Wait as `all_within` does, whatever trouble there is: what runs must be ended."""
        with self.news:
            return self._within(timeout, done)

    def notify(self) -> None:
        """Wake whoever waits, after something changed that they look at."""
        with self.news:
            self._last_news = time.monotonic()
            self.news.notify_all()

    def _within(self, timeout: float, done: Callable[[], bool]) -> bool:
        end = time.monotonic() + timeout
        while not (result := done()) and time.monotonic() < end:
            end += self._nap(end)
        return result

    def _nap(self, end: float) -> float:
        """Wait for news, or until `end`; return for how long we ourselves were stopped meanwhile.

        A harness that was stopped (SIGSTOP, a starved computer) has heard nothing in that time: it
        is no silence of the programs, and the run's limit doesn't count it.
        """
        before = time.monotonic()
        asked = max(0.0, min(end - before, _NAP_S))
        self.news.wait(asked)
        now = time.monotonic()
        stopped = now - before - asked
        if stopped < _STOPPED_S:
            return 0.0
        self._started += stopped
        self._last_news = self._progress = now
        return stopped

    def may_have_lost_lease(self) -> bool:
        """Tell whether we were silent for so long that programs take us as gone; and note it."""
        if self._stopped_s() < launcher.LEASE_S - launcher.PULSE_S:
            return False
        self.leases_lost = True
        return True

    def our_time(self, machine: str, theirs: Moment) -> float:
        """Return a moment on a machine as a time on our clock."""
        return self._clocks.get(machine, Clock()).ours(theirs)

    def _take_in(self, record: Record) -> None:
        if record.stream == "stderr":
            self._trace(record)
            return
        self.ledger.line(record)
        if self._reads is not None and (message := self._reads(record)) is not None:
            self.ledger.message(message)

    def _trace(self, record: Record) -> None:
        trace = trace_of(record)
        if trace is None:
            return
        if self.reads_messages and trace.event == "received" and trace.number is not None:
            self.ledger.taken((record.machine, record.process), trace.number)
        t = self.our_time(record.machine, trace.at)
        if trace.event not in _TRACED or not 0 <= t < LATEST:
            return
        self.event(
            Event(
                t=t,
                event=trace.event,
                machine=record.machine,
                process=record.process,
                details=trace.details,
            )
        )
