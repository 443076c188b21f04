"""The clock of a run, which is never set; and how far a machine's clocks are from it.

A wall clock can be set back in the midst of a run (NTP, a person), and then what came first seems
to come last. So every time of a run is one of `now`: UNIX seconds by CLOCK_MONOTONIC from one
reading of the wall clock on, when this process began.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lab.remote import Remote

SET_S = 0.05  # a wall clock that moved by more, against one that can't be set, was set

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ROUNDS = 8
_ANSWER = "import sys, time\nfor line in sys.stdin: print(repr(time.time()), flush=True)"
_WALL_AHEAD_S = time.time() - time.monotonic()  # when this process began


def now() -> float:
    """Return the time in UNIX seconds, on a clock that is never set."""
    return _WALL_AHEAD_S + time.monotonic()


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


def measure(remote: "Remote", our_boot_id: str) -> Clock:
    """Ask the machine for its time; one that booted when we did shares our clock.

    The answer with the shortest way there and back tells most: the offset is right to half of it
    (RFC 5905, section 8).
    """
    if remote.read(_BOOT_ID) == our_boot_id:
        return Clock(monotonic_ahead_s=-_WALL_AHEAD_S)
    channel = remote.talk([remote.access.python, "-ISc", _ANSWER])
    answers = channel.makefile("r")
    best = Clock(uncertainty_s=float("inf"))
    for _ in range(_ROUNDS):
        sent = now()
        channel.sendall(b"\n")
        theirs = float(answers.readline())
        received = now()
        half = (received - sent) / 2
        if half < best.uncertainty_s:
            best = Clock(offset_s=theirs - (sent + half), uncertainty_s=half)
    channel.close()
    return best


def our_boot_id() -> str:
    """Return what tells this computer's clock from others'; empty where the system has none."""
    try:
        return Path(_BOOT_ID).read_text()
    except FileNotFoundError:
        return ""
