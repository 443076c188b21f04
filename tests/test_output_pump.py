"""What a program prints is carried whole and in time, in few pieces where it floods."""

import asyncio
import os
import threading
from collections.abc import Callable

import pytest

from pushpull.machines.providers.embedded import output_pump
from pushpull.machines.providers.embedded.output_pump import carry


def carried(say: Callable[[int], None]) -> list[bytes]:
    """Return the pieces in which came what was said by another thread, until its end."""
    pieces: list[bytes] = []

    async def drain() -> None: ...

    read, write = os.pipe()
    speaker = threading.Thread(target=say, args=[write])
    speaker.start()
    asyncio.run(asyncio.wait_for(carry(read, pieces.append, drain), 60))
    speaker.join()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read)
    return pieces


def test_a_flood_comes_whole_and_in_few_pieces() -> None:
    lines = [b"%d\n" % n for n in range(50_000)]

    def flood(fd: int) -> None:
        for line in lines:
            os.write(fd, line)
        os.close(fd)

    pieces = carried(flood)
    assert b"".join(pieces) == b"".join(lines)
    assert len(pieces) < len(lines) / 20


def test_a_flood_of_many_bytes_widens_its_pipe() -> None:
    data = b"x" * 1000 + b"\n"

    def flood(fd: int) -> None:
        for _ in range(50_000):
            os.write(fd, data)
        os.close(fd)

    assert b"".join(carried(flood)) == data * 50_000


def test_each_line_comes_at_once_where_there_is_no_flood() -> None:
    """The next line is printed only when the one before has come."""
    came = threading.Semaphore(0)
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        came.release()

    def say(fd: int) -> None:
        for n in range(20):
            os.write(fd, b"%d\n" % n)
            assert came.acquire(timeout=30)
        os.close(fd)

    async def drain() -> None: ...

    read, write = os.pipe()
    speaker = threading.Thread(target=say, args=[write])
    speaker.start()
    asyncio.run(asyncio.wait_for(carry(read, take, drain), 60))
    speaker.join()
    assert pieces == [b"%d\n" % n for n in range(20)]


class Timed:
    """The pace of a stream that says so many lines each so many milliseconds."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        self.pace = output_pump._Pace(self.fd)
        self._now = 100.0

    def reads(self, times: int, lines: int, every_ms: float, length: int = 10) -> list[float]:
        pauses = []
        for _ in range(times):
            self._now += every_ms / 1000 + self.pace.pause_s
            self.pace.saw((b"x" * (length - 1) + b"\n") * lines, self._now)
            pauses.append(self.pace.pause_s)
        return pauses

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._write)


@pytest.fixture
def timed() -> Timed:
    return Timed()


def test_pauses_are_made_in_a_flood_alone(timed: Timed) -> None:
    assert set(timed.reads(200, 1, every_ms=5)) == {0}  # 200 lines a second are none
    assert set(timed.reads(30, 1, every_ms=0.1)) == {0}  # nor are a few that come at once
    begun = timed.reads(60, 50, every_ms=0.1)
    assert begun[-1] == output_pump._PAUSE_S
    assert timed.reads(200, 200, every_ms=0.1)[-1] == output_pump._LONGEST_PAUSE_S
    assert timed.reads(2, 1, every_ms=0.1)[-1] > 0  # the program was held up
    assert timed.reads(200, 200, every_ms=0.1)[-1] == output_pump._LONGEST_PAUSE_S
    assert timed.reads(4, 1, every_ms=0.1)[-1] == 0  # it is over
    assert set(timed.reads(200, 1, every_ms=5)) == {0}
    timed.close()


def test_a_pause_is_no_longer_than_the_pipe_takes(
    timed: Timed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_pump, "_LARGEST_PIPE", output_pump._PIPE)
    timed.reads(300, 100, every_ms=0.1)
    (pause,) = timed.reads(1, 100, every_ms=0.1, length=500)
    assert pause == output_pump._LONGEST_PAUSE_S / 2
    assert timed.reads(5, 100, every_ms=0.1)[-1] == pause
    timed.close()
