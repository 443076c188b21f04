"""How late the lab itself was during a run, and its machines: what is late measures nothing.

A harness that is stopped (Ctrl-Z, a suspended laptop, a starved computer) captures lines late, does
faults late and lets the leases of its programs run out. So it measures itself: a thread that wants
to wake every 50 ms notes by how much it was late, and how long the computer was suspended.
Machines with a clock of their own are measured in the same way by a program on each; those that
share ours share our computer.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import paramiko

from lab.core.errors import LabError
from lab.core.run_schema import LATEST
from lab.machines.remote import Remote

TOO_LATE_S = 0.5  # what claims about time allow for; a run that was later is a disturbed one

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
    """The clocks that are read, in seconds: one that stands still in a suspension, one that not."""

    awake: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = lambda: time.clock_gettime(
        getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    )


class Lateness:
    """By how many seconds we were late at worst, since it was entered as a context manager."""

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
        """Return by how much we were late at worst, this very moment included."""
        with self._mutex:
            self._look()
            return self._worst

    def suspended_s(self) -> float:
        """Return how long the computer was suspended."""
        return max(0.0, self._difference() - self._asleep)

    def stopped_s(self) -> float:
        """Return the longest time for which nothing was heard of us."""
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
    """By how many seconds programs on machines were late at worst, measured by one on each."""

    def __init__(self, talks: Mapping[str, paramiko.Channel]) -> None:
        self._talks = talks

    @classmethod
    def measure(cls, machines: Mapping[str, Remote], names: Iterable[str]) -> "MachineLateness":
        """Start to measure on the machines with these names; one that can't isn't measured."""
        talks = {}
        for name in names:
            with contextlib.suppress(LabError):
                remote = machines[name]
                talks[name] = remote.talk([remote.access.python, "-ISc", _MEASURE])
        return cls(talks)

    def end(self) -> dict[str, float]:
        """Return what was measured, without the machines that are gone."""
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
    """Return what run.json is to say of a run's disturbance, in seconds."""
    ours, suspended = lateness.worst_s(), lateness.suspended_s()
    return {
        "harness_late_s": round(ours, 3),
        "suspended_s": round(suspended, 3),
        "machines_late_s": {name: round(late, 3) for name, late in machines.items()},
        "limit_s": TOO_LATE_S,
        "disturbed": max(ours, suspended, *machines.values(), 0.0) > TOO_LATE_S,
    }
