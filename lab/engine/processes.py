"""A program that runs on a machine: started under the launcher, captured, signalled, ended."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.records import LEASE, LOST, Event
from pushpull.engine import standstill
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.program import Program
from pushpull.engine.standstill import Standstill
from pushpull.machines.pool import uninterrupted
from pushpull.machines.remote import Remote
from pushpull.machines.remote_process import RemoteProcess
from pushpull.runs.capture import Capture, CaptureStream

_TAIL_LINES = 12
_KILLED = 128 + signal.SIGKILL


class Process:
    """One life of a program on a machine."""

    def __init__(
        self,
        name: str,
        program: Program,
        remote: Remote,
        monitor: RunMonitor,
        flags: list[str],
        environment: Mapping[str, str],
        *,
        held: bool = False,
    ) -> None:
        self.name = name
        self.program = program
        self.machine = remote.name
        self.remote = remote
        self.ended_at: float | None = None
        self.status: int | None = None
        self.ended_by = "itself"
        self.paused = held  # also while it stands at a line
        self.held = held
        self.released = False
        self.stood_at = 0  # the number of the last line at which it was to stand
        self.killed_after_s: float | None = None  # since SIGTERM, which had not ended it
        self.flags = flags
        self.environment = environment
        self._monitor = monitor
        self._remote_process: RemoteProcess | None = None
        self._folder = ""
        self._killed = False
        self._streams: dict[str, CaptureStream] = {}

    def start(self, capture: Capture, folder: str) -> None:
        """Start it; its output is captured from the first byte on.

        Ctrl-C takes effect when it has started: one that is half started, nothing could end.
        """
        stdout = capture.open(self.machine, self.name, "stdout")
        stderr = capture.open(self.machine, self.name, "stderr")
        self._streams = {"stdout": stdout, "stderr": stderr}
        self._folder = folder
        try:
            uninterrupted(partial(self._begin, stdout, stderr))
        except LabError:
            self.ended_at = clock.now()  # so nothing waits for it
            raise

    def _begin(self, stdout: CaptureStream, stderr: CaptureStream) -> None:
        access = self.remote.access
        self._remote_process = self.remote.start(
            self._folder,
            self.name,
            self.program.argv(access.python, self.flags, access.implementations),
            self.environment,
            stdout=lambda data: self._keep(partial(stdout.feed, data)),
            stderr=lambda data: self._keep(partial(stderr.feed, data)),
            ended=self._on_end,
            by_line=self.program.by_line,
            held=self.held,
        )

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""
        if self._remote_process is not None:
            self._remote_process.signal(number)

    def end(self) -> None:
        """Kill all of its processes, as happens when the harness is gone."""
        self._killed = True
        if self._remote_process is not None:
            self._remote_process.end()

    @property
    def is_held(self) -> bool:
        """Whether it can be let run until a line."""
        return self.held and not self.released

    def run_until(self, order: str) -> None:
        """Let it run until the line that an order for the line holder names."""
        self.paused = False
        if self._remote_process is not None:
            self._remote_process.order(order)

    def stand(self, line: int) -> None:
        """Note that it stands at the line with this number."""
        self.paused, self.stood_at = True, line

    def release(self, *, after: int = 0) -> None:
        """Let it run past all further lines; it gets the signal `after`, if any, right before."""
        self.released, self.paused = True, after == signal.SIGSTOP
        if self._remote_process is not None:
            self._remote_process.order(f"free {after}" if after else "free")

    def not_held_at(self, number: int) -> str:
        """Return why it doesn't stand at the line with this number; empty if it does."""
        notes = self.remote.notes(self._folder, self.name)
        stands = notes.get("stands", "0").partition(" ")[0]
        elsewhere = "" if stands == str(number) else f"it stands at its line {stands}"
        return notes.get("not-held", elsewhere)

    def wait_released(self, timeout: float) -> float | None:
        """Return the UNIX time when it went on after `release`; None after the time-out."""
        with contextlib.suppress(LabError):  # a machine that can't say has verified nothing
            timeout = 0.0 if self.ended else timeout
            at = self.remote.released_at(self._folder, self.name, timeout=timeout)
            return None if at is None else self._monitor.our_time(self.machine, at)
        return None

    def wait_gone(self, timeout: float) -> float | None:
        """Return the UNIX time when its machine reported its end; None after `timeout` seconds."""
        self._monitor.all_within(timeout, lambda: self.ended)
        return self.ended_at if self.status is not None else None

    def wait_stopped(self, stopped: bool, timeout: float) -> float | None:
        """Return the UNIX time when all of it was stopped (or running); None after the time-out."""
        with contextlib.suppress(LabError):  # a machine that can't say has verified nothing
            at = self.remote.stopped_at(self._folder, self.name, stopped=stopped, timeout=timeout)
            return None if at is None else self._monitor.our_time(self.machine, at)
        return None

    def standstill(self) -> Standstill:
        """Return what keeps it from printing, according to its machine."""
        with contextlib.suppress(LabError):  # a machine that can't say has shown nothing
            return standstill.read(self.remote.standstill(self._folder, self.name))
        return Standstill()

    @property
    def place(self) -> tuple[str, str]:
        """The names of its machine and of itself, as in records and events."""
        return self.machine, self.name

    @property
    def ended(self) -> bool:
        return self.ended_at is not None

    @property
    def is_ready(self) -> bool:
        return (self.machine, self.name) in self._monitor.ready

    def tail(self) -> str:
        """Return the last lines that it printed, stderr's if there are any."""
        for name in ("stderr", "stdout"):
            if name in self._streams and (text := self._streams[name].tail(_TAIL_LINES)):
                return text
        return ""

    def __str__(self) -> str:
        return f"{self.name} on {self.machine}"

    def __repr__(self) -> str:
        return f"<{self}>"

    def _keep(self, take: Callable[[], None]) -> None:
        """Keep a part of a stream; a full disk ends no thread, whoever waits gets the error."""
        try:
            take()
        except LabError as error:
            self._monitor.fail(error)

    def _on_end(self, status: int | None, gone: float) -> None:
        cut_off = status is None or self.killed_after_s is not None
        for stream in self._streams.values():
            self._keep(partial(stream.close, whole=not cut_off))
        if status is None and self.ended_by != "fault":
            self.ended_by = LOST
        elif status and (self.ended_by == "itself" or self._was_killed_by_nobody(status)):
            self._explain(status)
        self.status, self.ended_at = status, gone
        details: dict[str, Any] = {"status": status, "by": self.ended_by}
        # Its own process may have ended in time, and children of it not.
        if self.ended_by == "harness" and self.killed_after_s is not None:
            details["killed_after_s"] = self.killed_after_s
        self._monitor.event(
            Event(
                t=gone,
                event="exit",
                machine=self.machine,
                process=self.name,
                details=details,
            )
        )
        self._monitor.notify()

    def _was_killed_by_nobody(self, status: int) -> bool:
        """Whether a SIGKILL ended it that neither a fault nor the lab sent."""
        return status == _KILLED and self.ended_by == "harness" and not self._killed

    def _explain(self, status: int) -> None:
        """Ask the launcher whether a bad exit status is the program's own, as any value may be."""
        try:
            notes = self.remote.notes(self._folder, self.name)
        except LabError:
            if status == _KILLED and self._monitor.may_have_lost_lease():
                self.ended_by = LEASE
            return
        if "lease" in notes:
            self._monitor.leases_lost = True
            self.ended_by = LEASE
        elif "not-started" in notes:
            self._spoil(
                f"{self.program.file} could not be started: {notes['not-started']}",
                hint="does its first line name an existing program? is it built for this machine?",
            )
        elif "misunderstood" in notes or "pid" not in notes:
            self._spoil(
                f"the lab's own launcher failed, and {self.program.file} did not run",
                hint="this is not the program's fault: please report it",
            )

    def _spoil(self, what: str, *, hint: str) -> None:
        where = f"machine {self.machine}"
        self._monitor.fail(LabError(what, where=where, hint=hint, output=self.tail()))


@dataclass(frozen=True, slots=True)
class Processes:
    """What one `lab.start` started."""

    members: tuple[Process, ...]
    monitor: RunMonitor = field(repr=False)

    def __iter__(self) -> Iterator[Process]:
        return iter(self.members)

    def without(self, process: Process) -> "Processes":
        """Return the others."""
        return Processes(tuple(p for p in self if p is not process), self.monitor)

    def wait(self) -> None:
        """Wait until each of them has ended by itself."""
        self.monitor.wait_for_end(lambda: all(p.ended for p in self), self._names())

    def _names(self) -> str:
        return ", ".join(str(process) for process in self.members)
