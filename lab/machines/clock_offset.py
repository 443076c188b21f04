"""Measures the offset between a machine's clocks and the clock of a run."""

import contextlib
from pathlib import Path

from pushpull.core.clock import WALL_AHEAD_S, Clock, now
from pushpull.core.run_schema import LATEST
from pushpull.machines.remote import Remote

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ROUNDS = 8
_ANSWER = "import sys, time\nfor line in sys.stdin: print(repr(time.time()), flush=True)"


def measure(remote: Remote, our_boot_id: str) -> Clock:
    """Ask the machine for its time; with the same boot id it shares our clock.

    The answer with the shortest round trip is the most precise: the error is at most half of that
    (RFC 5905, section 8). Raises whatever the channel raises, and EOFError if there is no answer.
    """
    if remote.read(_BOOT_ID) == our_boot_id:
        return Clock(monotonic_ahead_s=-WALL_AHEAD_S)
    channel = remote.talk([remote.access.python, "-ISc", _ANSWER])
    with contextlib.closing(channel):
        answers = channel.makefile("r")
        best = Clock(uncertainty_s=float("inf"))
        for _ in range(_ROUNDS):
            sent = now()
            channel.sendall(b"\n")
            theirs = _time(answers.readline())
            received = now()
            half = (received - sent) / 2
            if half < best.uncertainty_s:
                best = Clock(offset_s=theirs - (sent + half), uncertainty_s=half)
    return best


def _time(said: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (t := float(said)) < LATEST:
            return t
    raise EOFError(f"it answered {said[:40]!r} instead of a time")


def our_boot_id() -> str:
    """Return the boot id, which identifies this computer's clock; empty if there is none."""
    try:
        return Path(_BOOT_ID).read_text()
    except FileNotFoundError:
        return ""
