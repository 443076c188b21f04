"""Output becomes records becomes files: bytes that a process prints, cut into lines and kept."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lab.core.clock import now
from lab.core.os_errors import file_errors
from lab.core.records import Record
from lab.runs.directory import RunDirectory

LONGEST_TEXT = 64 * 1024  # bytes; of a longer line no more is kept than a terminal shows in the end
_TAIL = 8 * 1024  # bytes; what an error message shows of a stream is no more


class Line(NamedTuple):
    """One line: its place in the stream in bytes, without its newline, and its text.

    Of a line over 64 KiB the text is what a terminal shows of it in the end (see `Record.shown`),
    as of a progress bar; None where that is too long as well.
    """

    offset: int
    length: int
    text: str | None


class LineSplitter:
    r"""Cuts a stream into lines, whatever the chunks are. Pure; holds 64 KiB and a chunk at most.

    Only b"\n" ends a line; bytes that are no UTF-8 become backslash escapes.
    """

    def __init__(self) -> None:
        self._offset = 0  # of the unfinished line
        self._length = 0  # what came of it
        self._kept = bytearray()  # all of that, or what a terminal shows of it by now
        self._torn = False

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that these bytes complete."""
        first, *others = data.split(b"\n")
        self._keep(first)
        if not others:
            return []
        lines = self._finish()
        offset = self._offset
        last = others.pop()
        for line in others:  # the hot loop of a flood: lines that lie whole in the chunk
            length = len(line)
            text = _text(line) if length <= LONGEST_TEXT else _shown(line)
            lines.append(Line(offset, length, text))
            offset += length + 1
        self._offset = offset
        self._keep(last)
        return lines

    def tear(self) -> None:
        """Note that bytes are missing here: the line that they were in is none that was printed."""
        self._torn = True

    def close(self) -> list[Line]:
        """Return the unfinished last line, if there is one."""
        return self._finish() if self._length else []

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        self._kept += data
        if len(self._kept) > LONGEST_TEXT:
            _shorten(self._kept)

    def _finish(self) -> list[Line]:
        text = _text(self._kept) if self._length <= LONGEST_TEXT else _shown(self._kept)
        lines = [] if self._torn else [Line(self._offset, self._length, text)]
        self._offset += self._length + 1
        self._length = 0
        self._kept.clear()
        self._torn = False
        return lines


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


def _shown(line: bytes | bytearray) -> str | None:
    """Return what a terminal shows of a long line in the end; None where that is too long, too."""
    piece = line.rstrip(b"\r").rpartition(b"\r")[2]
    return _text(piece) if len(piece) <= LONGEST_TEXT else None


def _text(line: bytes | bytearray) -> str:
    return line.decode("utf-8", "backslashreplace")


class Capture:
    """Where the streams of a run's processes go.

    Arguments:
        run: the run directory that keeps them.
        on_records: is told of each batch of records after they are on the disk, from the thread
            that fed the stream; the batch is one chunk's and never empty.
        clock: gives the UNIX time of a capture in seconds.
    """

    def __init__(
        self,
        run: RunDirectory,
        on_records: Callable[[Sequence[Record]], None],
        clock: Callable[[], float] = now,
    ) -> None:
        self._run = run
        self._on_records = on_records
        self._clock = clock

    def open(self, machine: str, process: str, stream: str) -> "CaptureStream":
        """Open one stream of a process.

        Arguments:
            machine, process: their names; a further life of `echo` is `echo.2`.
            stream: `stdout` or `stderr`.

        Raises:
            LabError: a name can't be a file's, or the file can't be made.
        """
        return CaptureStream(self._run, self._on_records, self._clock, (machine, process, stream))


class CaptureStream:
    """One stream of a process; one thread feeds it.

    Attributes:
        bytes: how many are in the log file.
    """

    def __init__(
        self,
        run: RunDirectory,
        on_records: Callable[[Sequence[Record]], None],
        clock: Callable[[], float],
        source: tuple[str, str, str],
    ) -> None:
        self.bytes = 0
        self._run = run
        self._on_records = on_records
        self._clock = clock
        self._source = source
        self._splitter = LineSplitter()
        self._lines = 0
        self._log = run.log(*source)
        self._path = Path(os.fsdecode(self._log.name))

    def feed(self, data: bytes) -> None:
        """Keep these bytes, then the lines that they complete, then tell of those.

        Raises:
            LabError: the disk is full, or the like; what it took is kept.
        """
        t = self._clock()
        before = self.bytes
        try:
            with file_errors(self._path):
                while rest := data[self.bytes - before :]:
                    self.bytes += self._log.write(rest)
        finally:  # a full disk may have taken a part: count just that, so that offsets stay true
            kept = self.bytes - before
            lines = self._splitter.feed(data[:kept])
            if kept < len(data):
                self._splitter.tear()
            self._publish(lines, t)

    def close(self, *, whole: bool = True) -> None:
        """End the stream: an unfinished last line is a record as well. May be called twice.

        Unless it isn't known to be `whole`: a number of which the end was lost is another number.
        """
        if self._log.closed:
            return
        self._log.close()
        if not whole:
            self._splitter.tear()
        self._publish(self._splitter.close(), self._clock())

    def tail(self, lines: int) -> str:
        """Return the last lines for an error message, also after `close`; 8 KiB at most."""
        with file_errors(self._path, "read"), self._path.open("rb") as log:
            log.seek(max(0, self.bytes - _TAIL))
            return "\n".join(_text(log.read()).removesuffix("\n").split("\n")[-lines:])

    def _publish(self, lines: list[Line], t: float) -> None:
        if not lines:
            return
        machine, process, stream = self._source
        records = [
            Record(
                machine=machine,
                process=process,
                stream=stream,
                n=n,
                t=t,
                text=line.text,
                offset=line.offset,
                length=line.length,
            )
            for n, line in enumerate(lines, self._lines)
        ]
        self._lines += len(lines)
        self._run.record(records)
        self._on_records(records)
