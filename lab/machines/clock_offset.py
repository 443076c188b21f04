"""Measures the offset between a machine's clocks and the clock of a run."""

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

from pushpull.core.clock import Clock, ahead_s, now
from pushpull.core.errors import LabError
from pushpull.core.run_schema import LATEST
from pushpull.machines.remote import Remote

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_TIME_NAMESPACE = "/proc/self/timens_offsets"
READS = (_BOOT_ID, _TIME_NAMESPACE)  # what is read of a machine
_ROUNDS = 8
_ANSWER = "import sys, time\nfor line in sys.stdin: print(repr(time.time()), flush=True)"


def measure(remote: Remote, our_boot_id: str) -> Clock:
    """Ask the machine for its time; with the same boot id it shares our clock.

    In a time namespace (time_namespaces(7)) its monotonic clock is ahead of ours by just what its
    offsets say. Raises whatever the channel raises, and EOFError if there is no answer.
    """
    if remote.read_once(_BOOT_ID) == our_boot_id:
        ahead = _monotonic_offset(_read_there(remote)) - _monotonic_offset(_read_here())
        return Clock(monotonic_ahead_s=ahead - ahead_s())
    return compare(remote)


def compare(remote: Remote, environment: Mapping[str, str] | None = None) -> Clock:
    """Ask a program on the machine, with these environment variables, for the time that it sees.

    The answer with the shortest round trip is the most precise: the error is at most half of that
    (RFC 5905, section 8). Raises as `measure` does.
    """
    variables = [f"{name}={value}" for name, value in (environment or {}).items()]
    command = ["env", *variables] if variables else []
    channel = remote.talk([*command, remote.access.python, "-ISc", _ANSWER])
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


def _monotonic_offset(said: str) -> float:
    """Return by how much a time namespace sets CLOCK_MONOTONIC ahead, from what /proc says."""
    found = re.search(r"^monotonic\s+(-?\d{1,10})\s+(\d{1,9})$", said, re.M)
    return int(found[1]) + int(found[2]) / 1e9 if found else 0.0


def _read_there(remote: Remote) -> str:
    with contextlib.suppress(LabError):  # its kernel is older than Linux 5.6
        return remote.read_once(_TIME_NAMESPACE)
    return ""


def _read_here() -> str:
    with contextlib.suppress(FileNotFoundError):
        return Path(_TIME_NAMESPACE).read_text()
    return ""


def our_boot_id() -> str:
    """Return the boot id, which identifies this computer's clock; empty if there is none."""
    try:
        return Path(_BOOT_ID).read_text()
    except FileNotFoundError:
        return ""
