"""Collects what is observed during a run: stores it, shows it, and wakes waiting threads."""

import contextlib
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Protocol

from pushpull.core.clock import Clock, Moment
from pushpull.core.errors import RunStoreError
from pushpull.core.records import Event, Reader, Record
from pushpull.core.run_schema import LATEST
from pushpull.core.trace import Trace
from pushpull.engine.ending import Plan
from pushpull.engine.isolation import Isolation
from pushpull.engine.ledger import Ledger, Look, Place
from pushpull.machines.agent import launcher
from pushpull.runs.chunk_traces import traces_and_said
from pushpull.runs.directory import RunDirectory
from pushpull.runs.lines import Lines

# The traces that become events; the others stay in the records.
_TRACED = frozenset({"ready", "accepted", "connected", "disconnected", "dies"})

_NAP_S = 0.25  # how often a wait checks the clock, to notice that this process was stopped
_STOPPED_S = 0.25  # waking up so much too late means that it was stopped


class View(Protocol):
    """Where a run is shown while it goes on."""

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


class LimitReached(Exception):
    """The run has taken so long that something must be stuck; `str` says what it waited for."""


class NeverConnected(Exception):
    """The programs can't talk to each other; `str` says in a sentence how that shows."""


class InvariantBroken(Exception):
    """What was always to be true is not; `str` says what that is."""


class RunMonitor:
    """The meeting point of the threads that capture and the one that plays the scenario.

    Attributes:
        news: the one lock under which all that is known of the run is read and written.
        ledger: the lines and messages that came so far; read it under `news`.
        plan: how long the run is to take.
        accepted, connected, faults: how many of these events there were.
        understood: how many connections a library reported, and not just the kernel.
        connections: how many usable connections each program's library has reported, without
            those that are over.
        isolation: which machines faults keep apart.
        ready: which processes are ready, since when on the monotonic clock.
        unshown: the processes whose lines are kept but not shown, such as a server's log.
        hopeless: returns in a sentence why the programs will never talk to each other, else "";
            or raises LabError.
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
        self.accepted = self.connected = self.understood = self.faults = 0
        self.connections = Counter[Place]()
        self.isolation = Isolation()
        self.ready: dict[Place, float] = {}
        self.unshown: set[Place] = set()
        self.hopeless: Callable[[], str] = lambda: ""
        self.dying: dict[tuple[str, str], float] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self._run = run
        self._view = view
        self.reads = reads
        self.reads_messages = reads is not None
        self._clocks = dict(clocks)
        self._stopped_s = stopped_s
        self._invariants: list[tuple[Callable[[], bool], str]] = []
        self.leases_lost = False
        self.plan = plan
        self._meanwhile = [] if meanwhile is None else [meanwhile]
        self._started = self._last_news = self._progress = time.monotonic()
        self._starting_s = 0.0

    @property
    def sent(self) -> int:
        """How many messages the programs' lines say were sent."""
        return self.ledger.sent

    @property
    def received(self) -> int:
        """How many messages the programs' lines say were received."""
        return self.ledger.received

    def begin(self) -> None:
        """Count the run's limit from now on, without the setup."""
        with self.news:
            self._started = self._last_news = self._progress = time.monotonic()

    @property
    def planned_end(self) -> float:
        """When the run was to end as planned, on the monotonic clock."""
        return self._started + self.plan.seconds

    def records(self, lines: Lines) -> None:
        """Take in what was captured; called by the capturing threads."""
        traces: Sequence[int | Trace] = ()
        said: Sequence[Record] = lines
        if lines.stream == "stderr":
            traces, said = traces_and_said(lines)
        if (lines.machine, lines.process) not in self.unshown:
            self._view.records(said)
        with self.news:
            self._last_news = time.monotonic()
            before = self.sent + self.received
            try:
                if lines.stream == "stderr":
                    self._take_in_traces((lines.machine, lines.process), traces)
                else:
                    self._take_in(lines)
                self._check_invariants()
            except Exception as error:
                # A reader or trigger of an experiment that fails must not end the capture.
                self.trouble = self.trouble or error
            if self.reads is None or self.sent + self.received > before:
                self._progress = self._last_news
            self.news.notify_all()

    def event(self, event: Event) -> None:
        """Keep an event and pass it on; if it can't be kept, whoever waits gets the error."""
        try:
            self._run.event(event)
        except RunStoreError as error:
            self.fail(error)
        self._view.event(event)
        with self.news:
            hands_on = getattr(self.reads, "hands_on", None)
            if event.event == "start" and hands_on and hands_on(event.process):
                self.ledger.may_hand_on((event.machine, event.process))
            if event.event == "ready":
                self.ready[event.machine, event.process] = time.monotonic()
                self.versions[event.machine] = event.details
            if event.event == "dies":
                self.dying[event.machine, event.process] = event.t
            self.accepted += event.event == "accepted"
            self.connected += event.event == "connected"
            self.understood += event.event == "connected" and "late_s" not in event.details
            self.faults += event.event == "fault"
            self._note_ends(event)
            try:
                self._check_invariants()
            except Exception as error:
                self.trouble = self.trouble or error
            self.news.notify_all()

    def _note_ends(self, event: Event) -> None:
        """Note what decides whether a message may still arrive."""
        place = event.machine, event.process
        if event.event == "exit":
            self.ledger.ended(place)
        elif event.event in ("connected", "disconnected"):
            self.connections[place] += 1 if event.event == "connected" else -1
        else:
            self.isolation.note(event)
            if self.isolation.isolates(event):
                self.ledger.cut_off()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits raise an error: the first one that there was."""
        with self.news:
            self.trouble = self.trouble or error
        self.notify()

    def always(self, condition: Callable[[], bool], statement: str) -> None:
        """Let whoever waits raise InvariantBroken as soon as a condition isn't true any more."""
        with self.news:
            self._invariants.append((condition, statement))
            self._check_invariants()

    def go_on(self) -> None:
        """Forget that something was broken, and let further waits take as long as they want."""
        with self.news:
            self.trouble = None
            self.plan = replace(self.plan, patience_s=float("inf"))

    def _check_invariants(self) -> None:
        for condition, statement in self._invariants:
            if not condition():
                self._invariants.clear()
                self.fail(InvariantBroken(statement))
                details = {"statement": statement}
                self.event(Event(t=time.time(), event="broken", machine="", details=details))
                return

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
        names what is waited for, in LimitReached, which a run that takes too long raises (not amid
        a silence that began before its limit).
        NeverConnected is raised where the programs can't talk to each other.
        """
        waiting_since = time.monotonic()
        with self.news:
            while True:
                if self.trouble is not None:
                    raise self.trouble
                if done():
                    return True
                now = time.monotonic()
                quiet = silent_until(self._last_news)
                begun = self._started + self._starting_s
                end = self.plan.limit(begun, self._progress, waiting_since)
                if self._last_news < end and quiet < math.inf:
                    end = max(end, quiet)  # not amid the silence that tells more
                if end <= now < quiet:
                    raise LimitReached(whom)
                if why := self.hopeless():
                    raise NeverConnected(why)
                if now >= quiet:
                    return False
                self._nap(min(end, quiet))

    def started_within(self, timeout: float, done: Callable[[], bool]) -> bool:
        """Wait as `all_within` does, for programs to be ready: the run's limit doesn't count it."""
        before = time.monotonic()
        try:
            return self.all_within(timeout, done)
        finally:
            with self.news:
                self._starting_s += time.monotonic() - before

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

    @property
    def silence_s(self) -> float:
        """For how many seconds nothing has been printed, and nothing else has happened."""
        return time.monotonic() - self._last_news

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
        self.ready = {place: since + stopped for place, since in self.ready.items()}
        self._last_news = self._progress = now
        return stopped

    def may_have_lost_lease(self) -> bool:
        """Tell whether we were silent for so long that programs take us as gone; and note it."""
        if self._stopped_s() < launcher.LEASE_S - launcher.PULSE_S:
            return False
        self.leases_lost = True
        return True

    def wall_clock_set(self, machine: str, ahead_s: float) -> None:
        """Note how far ahead programs on a machine see the wall clock; no time comes from it."""
        found = replace(self._clocks.get(machine, Clock()), wall_ahead_s=ahead_s)
        self._clocks[machine] = found
        self._run.update(clocks={name: asdict(one) for name, one in self._clocks.items()})

    def our_time(self, machine: str, theirs: Moment) -> float:
        """Return a moment on a machine as a time on our clock."""
        return self._clocks.get(machine, Clock()).ours(theirs)

    def _take_in(self, lines: Lines) -> None:
        self.ledger.lines(lines)
        if self.reads is not None:
            self._take_in_messages(lines, self.reads)

    def _take_in_messages(self, lines: Lines, reads: Reader) -> None:
        """Account for messages: all of a chunk at once where the reader can do that."""
        scan = getattr(reads, "scan", None)
        scanned = scan(lines) if scan else None
        if scanned is not None:
            for found in scanned:
                self.ledger.messages(found.kind, (lines.machine, lines.process), found.numbers)
            return
        for record in lines:
            if (message := reads(record)) is not None:
                self.ledger.message(message)

    def _take_in_traces(self, place: Place, traces: Iterable[int | Trace]) -> None:
        trusts = getattr(self.reads, "trusts", None)
        receives = self.reads_messages and (trusts is None or trusts(place[1], "taken"))
        for trace in traces:
            if not isinstance(trace, int):
                self._trace(place, trace, receives=receives)
            elif receives:
                self.ledger.taken(place, trace)

    def _trace(self, place: Place, trace: Trace, *, receives: bool) -> None:
        machine, process = place
        if receives and trace.event == "received" and trace.number is not None:
            self.ledger.taken(place, trace.number)
        t = self.our_time(machine, trace.at)
        if trace.event not in _TRACED or not 0 <= t < LATEST:
            return
        self.event(
            Event(t=t, event=trace.event, machine=machine, process=process, details=trace.details)
        )
