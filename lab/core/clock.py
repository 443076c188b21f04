"""The clock of a run, which is never set.

A wall clock can be set back in the midst of a run (NTP, a person), and then what came first seems
to come last. So every time of a run is one of `now`: UNIX seconds by CLOCK_MONOTONIC from one
reading of the wall clock on, when this process began.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

SET_S = 0.05  # a wall clock that moved by more, against one that can't be set, was set
WALL_AHEAD_S = time.time() - time.monotonic()  # when this process began


def now() -> float:
    """Return the time in UNIX seconds, on a clock that is never set."""
    return WALL_AHEAD_S + time.monotonic()


def wall_ahead_s() -> float:
    """Return by how much the wall clock is ahead of the time since the boot; a step changes it."""
    # CLOCK_BOOTTIME goes on in a suspension as the wall clock does, CLOCK_MONOTONIC stands still.
    return time.time() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Moment(NamedTuple):
    """What a machine's clocks said: `t` in UNIX seconds, `m` its CLOCK_MONOTONIC if it's known."""

    t: float
    m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A machine's clock is `offset_s` ahead of ours, give or take `uncertainty_s` seconds.

    `monotonic_ahead_s` is how far its CLOCK_MONOTONIC is ahead of `now`, where it is the same as
    ours: then no step of a wall clock matters. None on other computers, which may boot in a run.
    """

    offset_s: float = 0.0
    uncertainty_s: float = 0.0
    monotonic_ahead_s: float | None = None

    def ours(self, theirs: Moment) -> float:
        """Return a moment on the machine as a time on our clock."""
        if self.monotonic_ahead_s is not None and theirs.m is not None:
            return theirs.m - self.monotonic_ahead_s
        return theirs.t - self.offset_s
