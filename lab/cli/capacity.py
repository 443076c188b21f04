"""How many labs run side by side: as many as this computer carries, found by measuring.

Each run measures how long its worker waited for a processor, as the kernel counts it, beside how
long it worked. (How late the lab was, by which runs are called disturbed, says it too late: the
kernel prefers what mostly sleeps, and so do lab and programs, but for their start. So with four
times as many labs as two processors carry, a run took eight times as long, and none was disturbed.)
While runs hardly wait, there is room for more labs; when they wait for much longer than they work,
there are too many. The number grows and shrinks as a TCP sender's window does: it doubles in each
round until the first sign of trouble; then one lab more after each round without trouble, and half
as many after trouble. Sources: Jacobson, "Congestion avoidance and control", SIGCOMM 1988, and
RFC 5681 for the start; Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", Computer Networks and ISDN Systems 17 (1989), for why to
add when it goes up and to halve when it goes down.
"""

import os
from pathlib import Path

from pushpull.cli.arguments import MOST_LABS
from pushpull.engine.disturbance import TOO_LATE_S

# Seconds of waiting for a processor in each second of work.
_HARDLY, _TOO_LONG = 1.0, 2.0
_LATE_S = TOO_LATE_S / 2
# Memory in kB: of a lab's processes, and of each machine with its programs.
_LAB_KB, _MACHINE_KB = 80_000, 30_000


class Capacity:
    """The number of labs that may run at once, which follows from how long runs had to wait.

    Attributes:
        labs: the number right now.
    """

    def __init__(self, labs: int, most: int) -> None:
        self.labs = min(labs, most)
        self._most = most
        self._starting = True
        self._calm = 0  # runs in a row that hardly waited
        self._before = 0  # runs still to end that began when there were more labs

    @classmethod
    def fixed(cls, labs: int) -> "Capacity":
        """Return a number that never changes."""
        fixed = cls(labs, labs)
        fixed._is_fixed = True
        return fixed

    @classmethod
    def measured(cls, machines: int) -> "Capacity":
        """Return a number that begins with the processors, for labs of so many machines."""
        fits = _free_kb() // (_LAB_KB + _MACHINE_KB * machines)
        return cls(len(os.sched_getaffinity(0)), max(1, min(MOST_LABS, fits)))

    _is_fixed = False

    def note(self, waited: float, late_s: float) -> None:
        """Take a run into account that just ended.

        Arguments:
            waited: how long it waited for a processor, in seconds for each second of work.
            late_s: how late the computer let it be, in seconds.
        """
        if self._is_fixed:
            return
        if self._before:
            self._before -= 1
        elif waited > _TOO_LONG or late_s > _LATE_S:
            self._before = self.labs - 1
            self.labs = max(1, self.labs // 2)
            self._starting, self._calm = False, 0
        elif waited > _HARDLY:
            self._starting, self._calm = False, 0
        else:
            self._calm += 1
            if self._calm >= (1 if self._starting else self.labs):
                self.labs, self._calm = min(self.labs + 1, self._most), 0


class Waiting:
    """How long this thread waits for a processor, since it was made; see proc(5), schedstat."""

    def __init__(self, counted: Path = Path("/proc/thread-self/schedstat")) -> None:
        self._counted = counted
        self._began = self._times()

    def for_each_second(self) -> float:
        """Return the seconds of waiting in each second of work; 0 if the kernel doesn't count."""
        worked, waited = (now - then for now, then in zip(self._times(), self._began, strict=True))
        return waited / worked if worked > 0 else 0.0

    def _times(self) -> tuple[int, int]:
        """Return how long it worked and waited, in nanoseconds."""
        try:
            worked, waited, _ = self._counted.read_text().split()
        except (OSError, ValueError):
            return 0, 0
        return int(worked), int(waited)


def _free_kb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return _LAB_KB * MOST_LABS
