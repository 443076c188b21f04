"""The wall clock that programs on a machine see, which a library that is preloaded into them sets.

The kernel has no namespace for CLOCK_REALTIME, so agent/wall_clock.c adds an offset to what
programs read. It reads the offset from a file that it maps, so the clock can step while they run.
CLOCK_MONOTONIC stays as it is. libfaketime can't be used: version 0.9.10 ends a sleep until a time
of CLOCK_MONOTONIC, such as Python's, with EINVAL.
"""

import posixpath
import struct
from collections.abc import Mapping
from pathlib import Path

from pushpull.core.clock import Clock
from pushpull.core.errors import LabError
from pushpull.core.vocabulary import AGENT
from pushpull.machines import agent, clock_offset
from pushpull.machines.connection import ssh_errors
from pushpull.machines.remote import Remote

_SOURCE = Path(agent.__path__[0]) / "wall_clock.c"
_QUOTED = 200  # characters of a compiler's complaint
_COMPILE = 'cc -O2 -shared -fPIC -o "$0.so" "$0.c" -ldl -pthread 2>&1 && echo done'
# Writes over a file's content, which programs have mapped: it must never be shorter.
_WRITE = 'printf "$1" | dd of="$0" conv=notrunc 2>/dev/null && echo done'


def environment(remote: Remote, folder: str) -> dict[str, str]:
    """Return the variables with which programs see a wall clock that `set_ahead` sets.

    The clock is right at first. Raises LabError if the machine can't compile the library.
    """
    place = posixpath.join(folder, AGENT)
    remote.put(place, {_SOURCE.name: _SOURCE})
    stem = remote.path(place, _SOURCE.stem)
    said = remote.run(["sh", "-c", _COMPILE, stem]).decode(errors="backslashreplace").strip()
    if not said.endswith("done"):
        raise LabError(
            f"the wall clock that programs see can't be set: {said[-_QUOTED:] or 'no answer'}",
            where=f"machine {remote.name}",
            hint="that needs a C compiler there: sudo apt-get install gcc libc6-dev",
        )
    set_ahead(remote, folder, 0.0)
    return {"LD_PRELOAD": f"{stem}.so", "LAB_WALL_CLOCK": _file(remote, folder)}


def set_ahead(remote: Remote, folder: str, seconds: float) -> None:
    """Let programs with that environment see the wall clock so far ahead, or behind."""
    number = "".join(f"\\{byte:03o}" for byte in struct.pack("=q", round(seconds * 1e9)))
    argv = ["sh", "-c", _WRITE, _file(remote, folder), number]
    if remote.run(argv).strip() != b"done":
        raise LabError(
            "its wall clock can't be set: the run's folder there can't be written",
            where=f"machine {remote.name}",
            hint="is its disk full?",
        )


def measure(remote: Remote, variables: Mapping[str, str]) -> Clock:
    """Compare the wall clock that a program with these variables sees with ours."""
    with ssh_errors(remote.access, "ask it for its time"):
        return clock_offset.compare(remote, variables)


def _file(remote: Remote, folder: str) -> str:
    return remote.path(folder, AGENT, "wall_clock.ahead")
