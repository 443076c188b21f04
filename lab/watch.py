"""What has been observed so far in a run that goes on: kept, shown, and told to whoever waits."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Protocol

from lab.clock import Clock
from lab.records import Event, Reader, Record
from lab.runs import RunDirectory

# What programs tell on stderr that is an event; the rest of their trace stays in the records.
_TRACED = frozenset({"ready", "accepted", "connected", "disconnected", "dies"})
_OWN_KEYS = frozenset({"t", "event", "machine", "process"})


class View(Protocol):
    """Where a run is shown while it goes on."""

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


class LimitReached(Exception):
    """The run has taken so long that something must be stuck: `str` says who was waited for."""


class Watch:
    """The meeting point of the threads that capture and the one that plays the scenario."""

    def __init__(
        self,
        run: RunDirectory,
        view: View,
        reads: Reader | None,
        clocks: Mapping[str, Clock],
        limit_s: float,
        meanwhile: Callable[[], None],
    ) -> None:
        self._run = run
        self._view = view
        self._reads = reads
        self._clocks = clocks
        self._end = time.monotonic() + limit_s
        self._meanwhile = [meanwhile]
        self._news = threading.Condition()
        self._looks: list[Callable[[Record], None]] = []
        self._missing: set[int] = set()
        self._early: set[int] = set()
        self._last_news = time.monotonic()
        self.trouble: BaseException | None = None
        self.sent = self.received = self.connected = 0
        self.ready: set[tuple[str, str]] = set()
        self.dying: dict[tuple[str, str], float] = {}
        self.versions: dict[str, dict[str, Any]] = {}

    def records(self, records: Sequence[Record]) -> None:
        """Take in what was captured; called by the capturing threads."""
        self._view.records(records)
        with self._news:
            self._last_news = time.monotonic()
            try:
                for record in records:
                    self._take_in(record)
            except Exception as error:
                # A reader or trigger of an experiment that fails must not end the capture.
                self.trouble = self.trouble or error
            self._news.notify_all()

    def event(self, event: Event) -> None:
        """Keep, show and tell an event."""
        self._run.event(event)
        self._view.event(event)
        with self._news:
            if event.event == "ready":
                self.ready.add((event.machine, event.process))
                self.versions[event.machine] = event.details
            if event.event == "dies":
                self.dying[event.machine, event.process] = event.t
            self.connected += event.event == "connected"
            self._news.notify_all()

    def look_at_each(self, look: Callable[[Record], None]) -> None:
        """Call `look` with each record: those that came already, then each as it comes."""
        with self._news:
            for record in self._run.recorded():
                look(record)
            self._looks.append(look)

    def printed(self, processes: Set[tuple[str, str]]) -> int:
        """Return how many lines these (machine, process) have printed on stdout so far."""
        with self._news:
            return sum(
                (record.machine, record.process) in processes
                for record in self._run.recorded()
                if record.stream == "stdout" and record.text is not None
            )

    def wait(self, done: Callable[[], bool], whom: str, quiet_s: float = float("inf")) -> bool:
        """Wait until `done`; or return False when nothing has been captured for `quiet_s` seconds.

        `whom` names who is waited for, in LimitReached, which a run that takes too long raises.
        """
        with self._news:
            while True:
                if self.trouble is not None:
                    raise self.trouble
                if done():
                    return True
                now = time.monotonic()
                quiet = self._last_news + quiet_s
                if now >= self._end:
                    raise LimitReached(whom)
                if now >= quiet:
                    return False
                self._news.wait(min(self._end, quiet) - now)

    def wait_for_end(self, done: Callable[[], bool], whom: str) -> None:
        """Wait as `wait` does, for the end of programs: there is time for something else."""
        while self._meanwhile:
            threading.Thread(target=self._meanwhile.pop(), daemon=True).start()
        self.wait(done, whom)

    def all_within(self, timeout: float, done: Callable[[], bool]) -> bool:
        """Wait until `done`, at most `timeout` seconds; return whether it is."""
        with self._news:
            result = self._news.wait_for(lambda: done() or self.trouble is not None, timeout)
            if self.trouble is not None:
                raise self.trouble
            return result

    def settled_within(self, timeout: float, done: Callable[[], bool]) -> bool:
        """Wait as `all_within` does, whatever trouble there is: what runs must be ended."""
        with self._news:
            return self._news.wait_for(done, timeout)

    def tell(self) -> None:
        """Wake whoever waits, after something changed that they look at."""
        with self._news:
            self._last_news = time.monotonic()
            self._news.notify_all()

    def our_time(self, machine: str, t: float) -> float:
        """Return what a machine's clock says as a time on ours."""
        return t - self._clocks.get(machine, Clock()).offset_s

    def all_accounted_for(self) -> bool:
        """Tell whether every message that was sent has been received."""
        return self.sent > 0 and not self._missing

    def _take_in(self, record: Record) -> None:
        if record.stream == "stderr" and record.text is not None:
            self._trace(record, record.text)
        elif self._reads is not None and (message := self._reads(record)) is not None:
            self._account(message.kind, message.number)
        for look in self._looks:
            look(record)

    def _account(self, kind: str, number: int) -> None:
        if kind == "sent":
            self.sent += 1
            if number in self._early:
                self._early.discard(number)
            else:
                self._missing.add(number)
        elif kind == "received":
            self.received += 1
            if number in self._missing:
                self._missing.discard(number)
            else:
                self._early.add(number)  # two streams: the receiver's line may be here first

    def _trace(self, record: Record, text: str) -> None:
        if not text.startswith("{"):
            return
        told = _parsed(text)
        if told.get("event") not in _TRACED or not isinstance(told.get("t"), float):
            return
        details = {key: value for key, value in told.items() if key not in _OWN_KEYS}
        self.event(
            Event(
                t=self.our_time(record.machine, told["t"]),
                event=told["event"],
                machine=record.machine,
                process=record.process,
                details=details,
            )
        )


def _parsed(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return {}  # a program may print on stderr what it likes
    return told if isinstance(told, dict) else {}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
