"""Measures how late the lab itself and its machines were during a run, which spoils times.

A stopped harness (Ctrl-Z, a suspended laptop, a starved computer) captures lines late, injects
faults late, and lets the leases of its programs run out. So it measures itself: a thread that asks
to wake every 50 ms notes its worst delay, and how long the computer was suspended. A program on
each machine with its own clock does the same; the other machines share our computer.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pushpull.core.errors import LabError
from pushpull.core.run_schema import LATEST
from pushpull.machines.remote import Remote

if TYPE_CHECKING:
    import paramiko

TOO_LATE_S = 0.5  # what claims about time tolerate; beyond that, a run is disturbed

_PERIOD_S = 0.05
_MEASURE = """
import select, sys, time
worst, asked = 0.0, []
while not asked:
    due = time.monotonic() + 0.05
    asked = select.select([sys.stdin], [], [], 0.05)[0]
    worst = max(worst, time.monotonic() - due)
print(worst, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Two clocks in seconds: one that stops during a suspension, and one that doesn't."""

    awake: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = lambda: time.clock_gettime(
        getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    )


class Lateness:
    """The worst delay of this process in seconds, since entering the context manager."""

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()
        self._mutex = threading.Lock()
        self._stop = threading.Event()
        self._worst = 0.0
        self._asleep = self._difference()
        self._due = self._clocks.awake() + _PERIOD_S
        self._thread = threading.Thread(target=self._watch, name="lateness", daemon=True)

    def __enter__(self) -> "Lateness":
        self._due = self._clocks.awake() + _PERIOD_S
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def worst_s(self) -> float:
        """Return the worst delay, including this very moment."""
        with self._mutex:
            self._look()
            return self._worst

    def suspended_s(self) -> float:
        """Return how long the computer was suspended."""
        return max(0.0, self._difference() - self._asleep)

    def stopped_s(self) -> float:
        """Return the longest time for which this process was silent."""
        return max(self.worst_s(), self.suspended_s())

    def _watch(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            with self._mutex:
                self._look()
                self._due = self._clocks.awake() + _PERIOD_S

    def _look(self) -> None:
        self._worst = max(self._worst, self._clocks.awake() - self._due)

    def _difference(self) -> float:
        return self._clocks.boot() - self._clocks.awake()


class MachineLateness:
    """The worst delays on machines in seconds, measured by a program on each."""

    def __init__(self, talks: Mapping[str, "paramiko.Channel"]) -> None:
        self._talks = talks

    @classmethod
    def measure(cls, machines: Mapping[str, Remote], names: Iterable[str]) -> "MachineLateness":
        """Start measuring on the machines with these names, except those that can't."""
        talks = {}
        for name in names:
            with contextlib.suppress(LabError):
                remote = machines[name]
                talks[name] = remote.talk([remote.access.python, "-ISc", _MEASURE])
        return cls(talks)

    def end(self) -> dict[str, float]:
        """Return the measurements, except for machines that are gone."""
        found = {}
        for name, channel in self._talks.items():
            with contextlib.suppress(OSError, EOFError, ValueError):
                channel.sendall(b"\n")
                late = float(channel.makefile("r").readline())
                if 0 <= late < LATEST:
                    found[name] = late
            with contextlib.suppress(OSError, EOFError):
                channel.close()
        return found


def description(lateness: Lateness, machines: Mapping[str, float]) -> dict[str, Any]:
    """Return what run.json says about a run's disturbance, in seconds."""
    ours, suspended = lateness.worst_s(), lateness.suspended_s()
    return {
        "harness_late_s": round(ours, 3),
        "suspended_s": round(suspended, 3),
        "machines_late_s": {name: round(late, 3) for name, late in machines.items()},
        "limit_s": TOO_LATE_S,
        "disturbed": max(ours, suspended, *machines.values(), 0.0) > TOO_LATE_S,
    }
