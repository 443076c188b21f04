"""How many labs run side by side: as many as this computer carries, found by measuring.

Each run measures how busy the processors were while it lasted, and how late the computer let it be.
By the utilization law the processors are busy in proportion to the runs that take place, so each
measurement says how many labs would keep them busy. While they aren't, there is one more in each
step at least, and at most twice as many, as the runs that follow are measured anew. A run that was
late means that there are too many, however busy the processors are: half as many remain, and from
then on one is added at a time, as a TCP sender does with its window.

(How long a run waits for a processor says little: its own lab starts several programs at once, for
which it waits on an empty computer, too.)

Sources: Denning and Buzen, "The operational analysis of queueing network models", ACM Computing
Surveys 10 (1978), for the law; Chiu and Jain, "Analysis of the increase and decrease algorithms for
congestion avoidance in computer networks", Computer Networks and ISDN Systems 17 (1989), for why to
add when it goes up and to halve when it goes down.
"""

import contextlib
import os
from pathlib import Path

from pushpull.cli.arguments import MOST_LABS
from pushpull.engine.disturbance import TOO_LATE_S

_BUSY = 0.9  # of the processors' time is enough: what is left is for bursts
_LATE_S = TOO_LATE_S / 2
# Memory in kB: of a lab's processes, and of each machine with its programs.
_LAB_KB, _MACHINE_KB = 80_000, 30_000


class Capacity:
    """The number of labs that may run at once, which follows from how runs went.

    Attributes:
        labs: the number right now.
    """

    def __init__(self, labs: int, most: int, *, is_fixed: bool = False) -> None:
        self.labs = min(labs, most)
        self._most = most
        self._is_fixed = is_fixed
        self._was_late = False
        self._before = 0  # runs still to end that began with another number of labs

    @classmethod
    def fixed(cls, labs: int) -> "Capacity":
        """Return a number that never changes."""
        return cls(labs, labs, is_fixed=True)

    @classmethod
    def measured(cls, machines: int) -> "Capacity":
        """Return a number that begins with the processors, for labs of so many machines."""
        fits = _free_kb() // (_LAB_KB + _MACHINE_KB * machines)
        return cls(len(os.sched_getaffinity(0)), max(1, min(MOST_LABS, fits)))

    def note(self, busy: float, late_s: float) -> None:
        """Take a run into account that just ended.

        Arguments:
            busy: the share of the processors' time that was used while it lasted.
            late_s: how late the computer let it be, in seconds.
        """
        if self._is_fixed:
            return
        if self._before:
            self._before -= 1
        elif late_s > _LATE_S:
            self._was_late = True
            self._change(self.labs // 2)
        elif busy < _BUSY:
            fitting = int(self.labs * _BUSY / max(busy, 0.1))
            most = self.labs + 1 if self._was_late else 2 * self.labs
            self._change(min(max(fitting, self.labs + 1), most))

    def _change(self, labs: int) -> None:
        labs = max(1, min(labs, self._most))
        if labs != self.labs:
            self._before = self.labs - 1
            self.labs = labs


class Processors:
    """How busy the processors are that this process may use, since it was made; see proc(5)."""

    def __init__(self, counted: Path = Path("/proc/stat")) -> None:
        self._counted = counted
        self._began = self._times()

    def busy(self) -> float:
        """Return the share of their time that was used; 1 if the kernel doesn't count it."""
        idle, all_ = (now - then for now, then in zip(self._times(), self._began, strict=True))
        return 1 - idle / all_ if all_ > 0 else 1.0

    def _times(self) -> tuple[int, int]:
        """Return how long they were idle, and all their time, in ticks."""
        names = {f"cpu{k}" for k in os.sched_getaffinity(0)}
        idle = all_ = 0
        with contextlib.suppress(OSError, ValueError):
            for name, *words in map(str.split, self._counted.read_text().splitlines()):
                if name in names:
                    ticks = [int(word) for word in words[:8]]  # a guest's are in these
                    idle += ticks[3] + ticks[4]  # waiting for a disk is idle
                    all_ += sum(ticks)
        return idle, all_


def _free_kb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1])
    return _LAB_KB * MOST_LABS
