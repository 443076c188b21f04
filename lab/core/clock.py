"""The clock of a run, which nobody can set.

Somebody, or NTP, may set a wall clock back during a run, and then the first event seems to be the
last. So all times in a run come from `now`: UNIX seconds, counted by CLOCK_MONOTONIC since a single
reading of the wall clock when this process began, see `begin`.
"""

import time
from dataclasses import dataclass
from typing import NamedTuple

NO_ORDER_S = 0.005  # two events closer than this, on two clocks or threads, have no order
SET_S = 0.05  # a wall clock that moved by more than this against an unsettable one was set
_ahead_s = time.time() - time.monotonic()


def begin() -> None:
    """Read the wall clock anew, in a process that was forked from one that began long ago."""
    global _ahead_s
    _ahead_s = time.time() - time.monotonic()


def ahead_s() -> float:
    """Return how far `now` is ahead of CLOCK_MONOTONIC."""
    return _ahead_s


def now() -> float:
    """Return the time in UNIX seconds, on a clock that nobody can set."""
    return _ahead_s + time.monotonic()


def wall_ahead_s() -> float:
    """Return how far the wall clock is ahead of the time since boot; setting it changes this."""
    # During a suspension CLOCK_BOOTTIME goes on, like the wall clock; CLOCK_MONOTONIC stops.
    return time.time() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Moment(NamedTuple):
    """A reading of a machine's clocks: `t` in UNIX seconds, `m` its CLOCK_MONOTONIC if known."""

    t: float
    m: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A machine's clock is `offset_s` ± `uncertainty_s` seconds ahead of ours.

    On this computer, `monotonic_ahead_s` is how far CLOCK_MONOTONIC is ahead of `now`; then setting
    the wall clock doesn't matter. It is None on other computers, which may reboot during a run.
    `wall_ahead_s` is how far ahead of ours programs there see the wall clock, if the lab has set
    it; then no time comes from it.
    """

    offset_s: float = 0.0
    uncertainty_s: float = 0.0
    monotonic_ahead_s: float | None = None
    wall_ahead_s: float | None = None

    def ours(self, theirs: Moment) -> float:
        """Return a moment on the machine as a time on our clock."""
        if self.monotonic_ahead_s is not None and theirs.m is not None:
            return theirs.m - self.monotonic_ahead_s
        if self.wall_ahead_s is not None:
            return now()
        return theirs.t - self.offset_s
