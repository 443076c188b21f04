"""How far a machine's clock is from ours, measured over SSH as NTP does."""

import time
from dataclasses import dataclass
from pathlib import Path

from lab.remote import Remote

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_ROUNDS = 8
_ANSWER = "import sys, time\nfor line in sys.stdin: print(repr(time.time()), flush=True)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A machine's clock is `offset_s` ahead of ours, give or take `uncertainty_s` seconds."""

    offset_s: float = 0.0
    uncertainty_s: float = 0.0


def measure(remote: Remote, our_boot_id: str) -> Clock:
    """Ask the machine for its time; one that booted when we did shares our clock.

    The answer with the shortest way there and back tells most: the offset is right to half of it
    (RFC 5905, section 8).
    """
    if remote.read(_BOOT_ID) == our_boot_id:
        return Clock()
    channel = remote.talk([remote.access.python, "-ISc", _ANSWER])
    answers = channel.makefile("r")
    best = Clock(uncertainty_s=float("inf"))
    for _ in range(_ROUNDS):
        sent = time.time()
        channel.sendall(b"\n")
        theirs = float(answers.readline())
        received = time.time()
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
