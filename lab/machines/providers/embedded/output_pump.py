"""Carries what a program prints to whoever takes it, without waking up for each line of a flood.

A program that prints as fast as it can writes line by line. To read each at once costs a hundred
times what the program spends on it, and then holds the program up. So where output has come without
a break for a while, a pump lets some gather in the pipe before it reads. Else it reads at once: a
line that a scenario waits for is never late in a run that is not flooded.
"""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_CHUNK = 1 << 18
_A_LINE_S = 0.004  # reads, then lines, that follow each other faster than this
_FLOOD = 32  # are a flood where so many came in a row.
# Times in a run that are less than 5 ms apart have no order (lab.analysis.history.NO_ORDER_S): that
# is as late as a line may be, but in a flood that goes on.
_PAUSE_S = 0.004
_GOES_ON = 128  # reads with a pause before each: half a second
_LONGEST_PAUSE_S = 0.02
_PIPE = 1 << 16
_LARGEST_PIPE = 1 << 20  # bytes; what any user may set


async def carry(
    fd: int, write: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]
) -> None:
    """Pass on all that comes from `fd`, a pipe or a terminal, as fast as it is taken; close it.

    Raises what `write` and `drain` raise; OSError where a terminal is gone.
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
    """How long to wait before the next read: `pause_s` seconds, 0 unless it floods."""

    fd: int
    pause_s: float = 0.0
    _in_a_row: int = 0
    _last: float = 0.0
    _pipe: int = _PIPE
    _longest_s: float = _LONGEST_PAUSE_S

    def saw(self, data: bytes, now: float) -> None:
        """Take note of what was read at a time (monotonic seconds)."""
        fast = now - self._last < _A_LINE_S
        if self.pause_s:
            fast = data.count(b"\n") * _A_LINE_S >= self.pause_s
        self._in_a_row = self._in_a_row + 1 if fast else 0
        self._last = now
        if 2 * len(data) > self._pipe and self.pause_s and not self._widen():
            self._longest_s = self.pause_s / 2  # else the program would stand before a full pipe
        if self._in_a_row < _FLOOD:
            self.pause_s, self._longest_s = 0.0, _LONGEST_PAUSE_S
        else:
            wanted = _PAUSE_S if self._in_a_row < _GOES_ON else _LONGEST_PAUSE_S
            self.pause_s = min(wanted, self._longest_s)

    def _widen(self) -> bool:
        """Let the pipe take more; false where it can't, or the user's pipes have all they may."""
        if self._pipe >= _LARGEST_PIPE:
            return False
        try:
            self._pipe = fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, 4 * self._pipe)
        except OSError:
            return False
        return True
