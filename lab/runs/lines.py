r"""Captured lines as bytes that lie together: objects are made only of those that are asked for.

Only b"\n" ends a line; bytes that are no UTF-8 become backslash escapes in its text.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, overload

from pushpull.core.records import Record
from pushpull.core.text import line_of

LONGEST_TEXT = 64 * 1024  # bytes; of a longer line only its place is kept

Source = tuple[str, str, str]  # machine, process and stream


class Line(NamedTuple):
    """One line: its place in the stream in bytes, without its newline, and its text if not long."""

    offset: int
    length: int
    text: str | None


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines that follow each other in a stream.

    `data` has them with their newlines, but for an unfinished last one. A line of over 64 KiB is a
    piece of its own, of `length` bytes without its newline: `data` is None, and `text` is what a
    terminal shows of it in the end, as of a progress bar; None if that is too long as well.
    """

    offset: int
    length: int
    count: int
    data: bytes | None
    text: str | None = None

    @property
    def is_unreadable(self) -> bool:
        return self.data is None and self.text is None

    def lines(self) -> Iterator[Line]:
        """Give the lines one by one."""
        if self.data is None:
            yield Line(self.offset, self.length, self.text)
            return
        offset = self.offset
        for line in self.data.removesuffix(b"\n").split(b"\n"):
            yield Line(offset, len(line), text_of(line))
            offset += len(line) + 1


class LineSplitter:
    """Cuts a stream into pieces of whole lines, whatever the chunks are.

    Pure; holds 64 KiB and a chunk at most.
    """

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset  # of the unfinished line
        self._length = 0  # what came of it
        self._kept = bytearray()  # all of that, or what a terminal shows of it by now
        self._torn = False

    def feed(self, data: bytes) -> list[Piece]:
        """Return the lines that these bytes complete: one piece, unless some line is too long."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return []
        pieces = list(self._completed(data[:end]))
        self._keep(data[end:])
        return pieces

    def tear(self) -> None:
        """Note that bytes are missing here: the line that they were in was never printed so."""
        self._torn = True

    def close(self) -> list[Piece]:
        """Return the unfinished last line, if there is one."""
        pieces: list[Piece] = []
        if self._length and not self._torn:
            if self._length > LONGEST_TEXT:
                pieces.append(self._long(self._length, self._kept))
            else:
                pieces.append(Piece(self._offset, self._length, 1, bytes(self._kept)))
        self._start_at(self._offset + self._length)
        return pieces

    def _completed(self, data: bytes) -> Iterator[Piece]:
        first = data.find(b"\n")
        if self._torn:
            self._start_at(self._offset + self._length + first + 1)
            data = data[first + 1 :]
        elif self._length + first > LONGEST_TEXT:
            self._keep(data[:first])
            yield self._long(self._length, self._kept)
            data = data[first + 1 :]
        else:
            data = bytes(self._kept) + data if self._length else data
        start = look = 0
        while len(data) - look > LONGEST_TEXT + 1:  # else no line can be too long
            last = data.rfind(b"\n", look, look + LONGEST_TEXT + 1)
            if last >= 0:
                look = last + 1
                continue
            if look > start:
                yield self._piece(data[start:look])
            end = data.index(b"\n", look)
            yield self._long(end - look, data[look:end])
            start = look = end + 1
        if start < len(data):
            yield self._piece(data[start:])

    def _piece(self, data: bytes) -> Piece:
        piece = Piece(self._offset, len(data), data.count(b"\n"), data)
        self._start_at(self._offset + len(data))
        return piece

    def _long(self, length: int, line: bytes | bytearray) -> Piece:
        piece = Piece(self._offset, length, 1, None, _shown_of_long(line))
        self._start_at(self._offset + length + 1)
        return piece

    def _start_at(self, offset: int) -> None:
        self._offset = offset
        self._length = 0
        self._kept.clear()
        self._torn = False

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        self._kept += data
        if len(self._kept) > LONGEST_TEXT:
            _shorten(self._kept)


def _shorten(line: bytearray) -> None:
    """Leave of an unfinished line what is enough to know what a terminal will show of it.

    Of a piece that is too long to be kept so much stays that it is seen to be.
    """
    returned = line.endswith(b"\r")
    if returned:
        line[:] = line.rstrip(b"\r")
    del line[: line.rfind(b"\r") + 1]
    del line[LONGEST_TEXT + 1 :]
    if returned:
        line += b"\r"


def _shown_of_long(line: bytes | bytearray) -> str | None:
    """Return what a terminal shows of a long line in the end; None if that is too long, too."""
    piece = line.rstrip(b"\r").rpartition(b"\r")[2]
    return text_of(piece) if len(piece) <= LONGEST_TEXT else None


class Lines(Sequence[Record]):
    """The lines that one captured chunk completed; a Record is made where one is looked at.

    Attributes:
        machine, process, stream: whose they are.
        t: the UNIX time of their capture in seconds.
        n: the number of the first one in its stream.
        piece: their bytes.
    """

    __slots__ = ("machine", "n", "piece", "process", "stream", "t")

    def __init__(self, source: Source, n: int, t: float, piece: Piece) -> None:
        self.machine, self.process, self.stream = source
        self.n = n
        self.t = t
        self.piece = piece

    def __len__(self) -> int:
        return self.piece.count

    def __iter__(self) -> Iterator[Record]:
        for n, line in enumerate(self.piece.lines(), self.n):
            yield self._record(n, line)

    def at(self, ns: Sequence[int]) -> Iterator[Record]:
        """Give the lines that have these numbers in their stream, which rise."""
        data = self.piece.data
        if data is None or len(ns) == len(self):
            yield from self
            return
        lines = data.removesuffix(b"\n").split(b"\n")
        offset, before = self.piece.offset, 0
        for n in ns:
            k = n - self.n
            offset += sum(map(len, lines[before:k])) + k - before
            before = k
            yield self._record(n, Line(offset, len(lines[k]), text_of(lines[k])))

    def shown_at(self, ns: Sequence[int], longest: int) -> list[str]:
        """Return what a terminal shows of these lines, of at most `longest` characters each."""
        data = self.piece.data
        if data is not None and data.isascii():
            lines = data.decode("ascii").removesuffix("\n").split("\n")
            shown = [lines[n - self.n] for n in ns]
            if "".join(shown).isprintable() and max(map(len, shown), default=0) <= longest:
                return shown
        return [line_of(record, longest) for record in self.at(ns)]

    def _record(self, n: int, line: Line) -> Record:
        return Record(
            machine=self.machine,
            process=self.process,
            stream=self.stream,
            n=n,
            t=self.t,
            text=line.text,
            offset=line.offset,
            length=line.length,
        )

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> list[Record]: ...
    def __getitem__(self, at: int | slice) -> Record | list[Record]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            return list(islice(self, start, stop, step)) if step > 0 else list(self)[at]
        place = range(len(self))[at]
        return next(islice(self, place, None))


class LastLines:
    """The last lines of many, in the chunks in which they came.

    Attributes:
        count: how many lines came, also those that were let go.
    """

    def __init__(self, most: int) -> None:
        self.chunks: deque[Sequence[Record]] = deque()
        self.count = 0
        self._most = most
        self._kept = 0

    def add(self, lines: Sequence[Record]) -> None:
        self.chunks.append(lines)
        self.count += len(lines)
        self._kept += len(lines)
        while self._kept - len(self.chunks[0]) >= self._most:
            self._kept -= len(self.chunks.popleft())

    def last(self) -> Iterator[Sequence[Record]]:
        """Give the lines that are kept, chunk by chunk."""
        over = max(0, self._kept - self._most)
        for lines in self.chunks:
            yield lines[over:] if over else lines
            over = 0


def text_of(line: bytes | bytearray) -> str:
    """Return a line's text, whatever its bytes are."""
    return line.decode("utf-8", "backslashreplace")
