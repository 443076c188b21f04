"""Forwards what a program prints, without waking up for each line of a flood.

A program that prints as fast as it can writes line by line. Reading each line at once would cost a
hundred times what the program spends on it, and would hold the program up. So when output has been
fast for a while, a pump lets some of it gather in the pipe before each read. Slower output is read
at once, so a line that a scenario waits for is not late.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_CHUNK = 1 << 18
_A_LINE_S = 0.004  # reads whose lines follow each other faster than this
_FLOOD = 32  # are a flood, if there are so many in a row.
_LIKE_A_LINE = 1024  # so many bytes count like a line
# Times in a run that are less than 5 ms apart have no order (history.NO_ORDER_S), so a
# line may be late by that much; by more only in a flood that goes on.
_PAUSE_S = 0.004
_GOES_ON = 128  # reads with a pause before each: half a second
_LONG_PAUSE_S = 0.02
_LASTS = 256  # three seconds: most of what a flood costs is by the read, not by the line
_LONGEST_PAUSE_S = 0.05
_PIPE = 1 << 16
_LARGEST_PIPE = 1 << 20  # bytes; what any user may set


async def carry(
    fd: int, write: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]
) -> None:
    """Forward all output of a pipe or a terminal, as fast as it is accepted; then close `fd`.

    Raises whatever `write` and `drain` raise, and OSError when a terminal is gone.
    """
    os.set_blocking(fd, False)
    pace = _Pace(fd)
    loop = asyncio.get_running_loop()
    try:
        while True:
            await _readable(loop, fd)
            if pace.pause_s:
                await asyncio.sleep(pace.pause_s)
            with contextlib.suppress(BlockingIOError):
                if not (data := os.read(fd, _CHUNK)):
                    return
                pace.saw(data, loop.time())
                write(data)
                await drain()
    finally:
        os.close(fd)


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    there = loop.create_future()

    def tell() -> None:
        if not there.done():
            there.set_result(None)

    loop.add_reader(fd, tell)
    try:
        await there
    finally:
        loop.remove_reader(fd)


@dataclass(slots=True)
class _Pace:
    """How long to wait before the next read: `pause_s` seconds, 0 except in a flood."""

    fd: int
    pause_s: float = 0.0
    _in_a_row: int = 0
    _last: float = 0.0
    _pipe: int = _PIPE
    _longest_s: float = _LONGEST_PAUSE_S

    def saw(self, data: bytes, now: float) -> None:
        """Adapt to what was read at a time, in monotonic seconds."""
        lines = max(1, data.count(b"\n"), len(data) // _LIKE_A_LINE)
        fast = now - self._last < _A_LINE_S * lines
        if fast:
            self._in_a_row = min(self._in_a_row + 1, _LASTS)
        elif self.pause_s:  # a flooding program may be held up: a few such reads end the flood
            self._in_a_row //= 2
        else:
            self._in_a_row = 0
        self._last = now
        if 2 * len(data) > self._pipe and self.pause_s and not self._widen():
            self._longest_s = self.pause_s / 2  # else the program would stand before a full pipe
        if self._in_a_row < _FLOOD:
            self.pause_s, self._longest_s = 0.0, _LONGEST_PAUSE_S
        else:
            self.pause_s = min(_wanted_s(self._in_a_row), self._longest_s)

    def _widen(self) -> bool:
        """Enlarge the pipe; return False if the system refuses that."""
        if self._pipe >= _LARGEST_PIPE:
            return False
        try:
            self._pipe = fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, 4 * self._pipe)
        except OSError:
            return False
        return True


def _wanted_s(fast_reads: int) -> float:
    """Return the pause after so many reads in a row that were fast, in seconds."""
    if fast_reads < _GOES_ON:
        return _PAUSE_S
    return _LONG_PAUSE_S if fast_reads < _LASTS else _LONGEST_PAUSE_S
