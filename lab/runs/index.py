"""When the bytes of a log were captured: its index, 16 bytes for each chunk.

An entry is where its chunk ends in the log, in bytes (uint64), and the UNIX time of its capture in
seconds (float64), both little-endian. Ends grow, times don't go back. A negative time means that
bytes are missing after this place, as the disk was full: the line that they were in was never
printed as it stands there. The last entry may end where the one before does (or at 0): then the
stream was closed, and what it said after its last newline is a line as well.

What survives what: the log is written first, then the index, both straight to the kernel, so both
outlive a `kill -9` of the process that wrote them. Nothing is synced to the disk: if the whole
computer loses its power, the last seconds may be gone.
"""

import io
import struct
from array import array
from pathlib import Path

from pushpull.core.os_errors import file_errors
from pushpull.core.run_schema import LATEST

ENDING = ".index"  # after the whole name of the log
_ENTRY = struct.Struct("<Qd")
SIZE = _ENTRY.size


class IndexFile:
    """An index that is being written, by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = io.FileIO(path, "a")
        self._end = 0  # of the last whole entry
        self._owed = b""  # entries that the disk did not take

    def append(self, end: int, t: float, *, torn: bool = False) -> None:
        """Append one entry, and those that could not be written before.

        Raises:
            RunStoreError: the disk is full, or the like; the entries before are untouched.
        """
        torn_before = bool(self._owed)
        self._owed += _ENTRY.pack(end, -t if torn else t)
        written = 0
        with file_errors(self._path):
            try:
                if torn_before:  # a full disk may have cut an entry in two
                    self._file.truncate(self._end)
                while written < len(self._owed):
                    written += self._file.write(self._owed[written:])
            finally:
                whole = written // SIZE * SIZE
                self._end += whole
                self._owed = self._owed[whole:]

    def close(self) -> None:
        self._file.close()


def entries(content: bytes) -> "tuple[array[int], array[float], bool]":
    """Return the ends and times of an index's chunks, and whether its stream was closed.

    What follows the last whole entry was being written when its writer died, and is no mistake.
    Where the stream was closed the last time is that of its close.

    Raises:
        ValueError: the content is malformed; says at which entry.
    """
    ends, times = array("Q"), array("d")
    before, latest = 0, 0.0
    count = len(content) // SIZE
    for k, (end, t) in enumerate(_ENTRY.iter_unpack(content[: count * SIZE])):
        is_close = end == before and t >= 0
        if end < before or (is_close and k < count - 1):
            raise ValueError(f"entry {k + 1} doesn't follow the one before it")
        if not latest <= abs(t) < LATEST:  # nor is that so of a NaN
            raise ValueError(f"entry {k + 1} has a time that can't be")
        ends.append(end)
        times.append(t)
        if is_close:
            return ends, times, True
        before, latest = end, abs(t)
    return ends, times, False
