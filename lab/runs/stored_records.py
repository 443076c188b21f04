"""The lines of a stored run, derived from its logs and their indexes; few are in memory at once."""

import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple, overload

from pushpull.core.errors import RunStoreError
from pushpull.core.os_errors import file_errors
from pushpull.core.records import Record
from pushpull.core.run_schema import MACHINE, PROCESS
from pushpull.core.text import line_of
from pushpull.runs import index
from pushpull.runs.directory import index_of, log_of
from pushpull.runs.lines import Lines, LineSplitter, Piece, Source
from pushpull.runs.regular_files import open_regular, read_regular

_LARGEST_LOG = 4 * 1024**3
_LARGEST_INDEX = 256 * 1024**2
_BLOCK = 1024**2
_NAME = re.compile(rf"({PROCESS})\.(log|err)\.index")
_STREAM = {"log": "stdout", "err": "stderr"}


class Log:
    """A log that anyone may have put there, read piece by piece; a block of it is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = 0
        self._block = b""
        with open_regular(path, largest=_LARGEST_LOG) as file:
            self.size = os.fstat(file.fileno()).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes that are there; RunStoreError where the file is another one by now."""
        if not self._start <= offset <= offset + length <= self._start + len(self._block):
            with (
                open_regular(self._path, largest=_LARGEST_LOG) as file,
                file_errors(self._path, "read"),
            ):
                self._block = os.pread(file.fileno(), max(_BLOCK, length), offset)
            self._start = offset
        data = self._block[offset - self._start : offset - self._start + length]
        if len(data) < length:
            raise RunStoreError("This log was cut while it was read.", where=str(self._path))
        return data


class _Chunk(NamedTuple):
    """Where the lines are that one chunk completed; `size` of a line over 64 KiB is negative."""

    t: float
    stream: int
    n: int
    offset: int
    size: int
    lines: int


class _Chunks(Sequence[_Chunk]):
    """Chunks as columns, as a slow program makes one for each of its lines."""

    def __init__(self) -> None:
        self._columns: list[array[Any]] = [array(kind) for kind in "dHqqqq"]

    def append(self, chunk: _Chunk) -> None:
        for column, value in zip(self._columns, chunk, strict=True):
            column.append(value)

    def in_order(self) -> "_Chunks":
        """Return them in order of time, and of one time in that of their streams and lines."""
        t, stream, n, *_ = self._columns
        order = sorted(range(len(t)), key=lambda k: (t[k], stream[k], n[k]))
        made = _Chunks()
        made._columns = [array(c.typecode, map(c.__getitem__, order)) for c in self._columns]
        return made

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[_Chunk]:
        return map(_Chunk, *self._columns)

    @overload
    def __getitem__(self, at: int) -> _Chunk: ...
    @overload
    def __getitem__(self, at: slice) -> list[_Chunk]: ...
    def __getitem__(self, at: int | slice) -> _Chunk | list[_Chunk]:
        if isinstance(at, slice):
            return [self[k] for k in range(len(self))[at]]
        return _Chunk(*(column[at] for column in self._columns))


class Stream:
    """One stream of a run.

    Attributes:
        source: its machine, process and name.
        firsts, times, ranks: of each of its chunks: the number of its first line, its UNIX time in
            seconds, and its place among the chunks of all streams.
    """

    def __init__(self, source: Source, log: Log) -> None:
        self.source = source
        self.firsts = array("q")
        self.times = array("d")
        self.ranks = array("i")
        self._log = log
        self._chunks = _Chunks()

    def add(self, chunk: _Chunk, rank: int) -> None:
        self.firsts.append(chunk.n)
        self.times.append(chunk.t)
        self.ranks.append(rank)
        self._chunks.append(chunk)

    @property
    def count(self) -> int:
        """How many lines it has."""
        return self._chunks[-1].n + self._chunks[-1].lines if self._chunks else 0

    def blocks(self) -> Iterator[Lines]:
        """Give its lines, many chunks at once: their time is that of the first."""
        block: _Chunk | None = None
        for chunk in self._chunks:
            if block is not None and _are_one_block(block, chunk):
                size, lines = block.size + chunk.size, block.lines + chunk.lines
                block = block._replace(size=size, lines=lines)
                continue
            if block is not None:
                yield _lines(self.source, self._log, block)
            block = chunk
        if block is not None:
            yield _lines(self.source, self._log, block)

    def batches(self) -> Iterator[Lines]:
        """Give its lines as they were captured, chunk by chunk."""
        return (_lines(self.source, self._log, chunk) for chunk in self._chunks)

    def shown_at(self, ns: Sequence[int], longest: int) -> Iterator[tuple[float, list[str]]]:
        """Give the time of each chunk, and what is shown of its lines with these rising numbers."""
        start = 0
        for chunk in self._chunks:
            end = bisect_left(ns, chunk.n + chunk.lines, start)
            if start < end:
                lines = _lines(self.source, self._log, chunk)
                yield chunk.t, lines.shown_at(ns[start:end], longest)
            start = end


def _are_one_block(block: _Chunk, chunk: _Chunk) -> bool:
    """Return whether a chunk continues a block that isn't full."""
    return (
        block.size >= 0
        and chunk.size >= 0
        and chunk.offset == block.offset + block.size
        and block.size + chunk.size <= _BLOCK
    )


class StoredRecords(Sequence[Record]):
    """All lines of a run, in the order of time; of one time, in the order of the streams' names.

    Each look at a line makes a new Record of it.
    """

    def __init__(self, sources: Sequence[Source], logs: Sequence[Log], chunks: _Chunks):
        self._sources = sources
        self._logs = logs
        self._chunks = chunks.in_order()
        self._ends = array("q", accumulate(chunk.lines for chunk in self._chunks))

    def batches(self) -> Iterator[Lines]:
        """Give the lines as they were captured, chunk by chunk."""
        return map(self._lines, self._chunks)

    def streams(self) -> Sequence[Stream]:
        """Return the streams, in the order of their names."""
        found = [Stream(source, log) for source, log in zip(self._sources, self._logs, strict=True)]
        for rank, chunk in enumerate(self._chunks):
            found[chunk.stream].add(chunk, rank)
        return found

    def times(self) -> Iterator[float]:
        """Give the times at which lines were captured."""
        return (chunk.t for chunk in self._chunks)

    def sources(self) -> set[Source]:
        """Return the streams that have lines."""
        return {self._sources[k] for k in {chunk.stream for chunk in self._chunks}}

    def count_in(self, stream: str) -> int:
        """Return how many lines of `stdout` or `stderr` there are."""
        return sum(c.lines for c in self._chunks if self._sources[c.stream][2] == stream)

    def too_long(self) -> Iterator[Source]:
        """Give the stream of each line that is too long to be read."""
        for chunk in self._chunks:
            if chunk.size < 0 and self._lines(chunk).piece.is_unreadable:
                yield self._sources[chunk.stream]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Record]:
        for lines in self.batches():
            yield from lines

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Record, ...]: ...
    def __getitem__(self, at: int | slice) -> Record | tuple[Record, ...]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step < 0:
                return tuple(self)[at]
            return tuple(islice(self, start, stop, step))
        place = range(len(self))[at]
        k = bisect_right(self._ends, place)
        return self._lines(self._chunks[k])[place - self._ends[k]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def _lines(self, chunk: _Chunk) -> Lines:
        return _lines(self._sources[chunk.stream], self._logs[chunk.stream], chunk)


def _lines(source: Source, log: Log, chunk: _Chunk) -> Lines:
    if chunk.size < 0:
        piece = _long_line(log, chunk.offset, -chunk.size)
    else:
        data = log.read(chunk.offset, chunk.size)
        piece = Piece(chunk.offset, chunk.size, chunk.lines, data)
    return Lines(source, chunk.n, chunk.t, piece)


def _long_line(log: Log, offset: int, length: int) -> Piece:
    splitter = LineSplitter(offset)
    for start in range(0, length, _BLOCK):
        splitter.feed(log.read(offset + start, min(_BLOCK, length - start)))
    return splitter.close()[0]


def times_of(records: Sequence[Record]) -> Iterator[float]:
    """Give the times at which lines were captured, at least once each."""
    if isinstance(records, StoredRecords):
        return records.times()
    return (record.t for record in records)


def sources_of(records: Sequence[Record]) -> set[Source]:
    """Return the streams that have lines: machine, process and name."""
    if isinstance(records, StoredRecords):
        return records.sources()
    return {(record.machine, record.process, record.stream) for record in records}


def shown_at(
    records: Sequence[Record], source: Source, ns: Sequence[int], longest: int
) -> Iterator[tuple[float, list[str]]]:
    """Give what a terminal shows of the lines of a stream that have these numbers, which rise.

    They come in parts, each with its UNIX time in seconds, and of at most `longest` characters.
    """
    if isinstance(records, StoredRecords):
        for stream in records.streams():
            if stream.source == source:
                yield from stream.shown_at(ns, longest)
        return
    wanted = set(ns)
    for record in records:
        if (record.machine, record.process, record.stream) == source and record.n in wanted:
            yield record.t, [line_of(record, longest)]


def count_of(records: Sequence[Record], stream: str) -> int:
    """Return how many lines of `stdout` or `stderr` there are."""
    if isinstance(records, StoredRecords):
        return records.count_in(stream)
    return sum(record.stream == stream for record in records)


def too_long(records: Sequence[Record]) -> Iterator[Source]:
    """Give the machine, process and stream of each line that is too long to be read."""
    if isinstance(records, StoredRecords):
        return records.too_long()
    return ((r.machine, r.process, r.stream) for r in records if r.text is None)


def derive(run: Path, machines: set[str] | None, *, closed: bool) -> StoredRecords:
    """Return the lines of a run.

    Arguments:
        run: its folder.
        machines: the names that its machines may have; None for any.
        closed: whether its writer came to the end: then each log has all that its index speaks of.

    Raises:
        RunStoreError: a log or an index can't be read, or is malformed.
    """
    sources = sorted(_sources(run))
    logs: list[Log] = []
    chunks = _Chunks()
    for k, source in enumerate(sources):
        log = log_of(run, *source)
        if machines is not None and source[0] not in machines:
            raise _malformed(index_of(log), f"the run has no machine {source[0]!r}")
        # The index comes first: of a run that goes on, the log then has all that it speaks of.
        content = read_regular(index_of(log), largest=_LARGEST_INDEX)
        logs.append(Log(log))
        try:
            ends, times, ended = index.entries(content)
        except ValueError as error:
            raise _malformed(index_of(log), str(error)) from error
        if closed and ends and ends[-1] > logs[-1].size:
            raise _cut(log, logs[-1].size, ends[-1])
        for chunk in _chunks(k, logs[-1], ends, times, ended=ended):
            chunks.append(chunk)
    return StoredRecords(sources, logs, chunks)


def _sources(run: Path) -> Iterator[Source]:
    """Give the streams that have an index."""
    with file_errors(run, "read"):
        folders = [path for path in run.iterdir() if re.fullmatch(MACHINE, path.name)]
        for folder in folders:
            if folder.is_symlink() or not folder.is_dir():
                continue
            for path in folder.iterdir():
                if path.name.endswith(index.ENDING):
                    name = _NAME.fullmatch(path.name)
                    if name is None:
                        raise _malformed(path, "its name is not an index name")
                    yield folder.name, name[1], _STREAM[name[2]]


def _chunks(
    stream: int, log: Log, ends: Sequence[int], times: Sequence[float], *, ended: bool
) -> Iterator[_Chunk]:
    """Cut a log as it was cut when it was captured; what its index doesn't know is left out."""
    splitter = LineSplitter()
    n = start = 0
    for k, (end, t) in enumerate(zip(ends, times, strict=True)):
        end = min(end, log.size)  # a computer that lost its power may have lost bytes
        pieces = splitter.close() if ended and k == len(ends) - 1 else []
        while start < end:
            data = log.read(start, min(end - start, _BLOCK))
            pieces += splitter.feed(data)
            start += len(data)
        if t < 0:
            splitter.tear()
        for piece in pieces:
            size = -piece.length if piece.data is None else piece.length
            yield _Chunk(abs(t), stream, n, piece.offset, size, piece.count)
            n += piece.count


def _malformed(file: Path, why: str) -> RunStoreError:
    return RunStoreError(
        f"This is malformed: {why}.",
        where=str(file),
        hint="Was it edited by hand? The lab never writes it like this.",
    )


def _cut(log: Path, size: int, end: int) -> RunStoreError:
    return RunStoreError(
        f"This log has {size:,} bytes, but its index mentions {end:,}.",
        where=str(log),
        hint="It was changed or cut after the run. Without it and its index the run is readable.",
    )
