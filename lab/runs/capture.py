"""What programs print, kept byte for byte with the times of its chunks, and passed on as lines."""

import os
from collections.abc import Callable
from pathlib import Path

from pushpull.core.clock import now
from pushpull.core.os_errors import file_errors
from pushpull.runs.directory import RunDirectory
from pushpull.runs.lines import Lines, LineSplitter, Piece, Source, text_of

_TAIL = 8 * 1024  # bytes; what an error message shows of a stream is no more

OnLines = Callable[[Lines], None]


class Capture:
    """Receives the output streams of a run's processes.

    Arguments:
        run: the run directory that keeps them.
        on_lines: gets the lines that each chunk completes after they are on the disk, from the
            thread that fed the stream; there is at least one.
        clock: gives the UNIX time of a capture in seconds.
    """

    def __init__(
        self, run: RunDirectory, on_lines: OnLines, clock: Callable[[], float] = now
    ) -> None:
        self._run = run
        self._on_lines = on_lines
        self._clock = clock

    def open(self, machine: str, process: str, stream: str) -> "CaptureStream":
        """Open one stream of a process.

        Arguments:
            machine, process: their names; a further life of `echo` is `echo.2`.
            stream: `stdout` or `stderr`.

        Raises:
            LabError: a name can't be a file's, or the file can't be made.
        """
        return CaptureStream(self._run, self._on_lines, self._clock, (machine, process, stream))


class CaptureStream:
    """One stream of a process; one thread feeds it.

    Attributes:
        bytes: how many are in the log file.
    """

    def __init__(
        self, run: RunDirectory, on_lines: OnLines, clock: Callable[[], float], source: Source
    ) -> None:
        self.bytes = 0
        self._on_lines = on_lines
        self._clock = clock
        self._source = source
        self._splitter = LineSplitter()
        self._count = 0  # of the lines so far
        self._log, self._index = run.log(*source)
        self._path = Path(os.fsdecode(self._log.name))

    def feed(self, data: bytes) -> None:
        """Keep these bytes and their time, then pass on the lines that they complete.

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
            lines = self._numbered(self._splitter.feed(data[:kept]), t)
            torn = kept < len(data)
            if torn:
                self._splitter.tear()
            if data:
                self._index.append(self.bytes, t, torn=torn)
            for one in lines:
                self._on_lines(one)

    def close(self, *, whole: bool = True) -> None:
        """End the stream: an unfinished last line is a line as well. May be called twice.

        Unless it isn't known to be `whole`: a number of which the end was lost is another number.
        """
        if self._log.closed:
            return
        t = self._clock()
        self._log.close()
        try:
            self._index.append(self.bytes, t, torn=not whole)
        finally:
            self._index.close()
        if not whole:
            self._splitter.tear()
        for one in self._numbered(self._splitter.close(), t):
            self._on_lines(one)

    def tail(self, lines: int) -> str:
        """Return the last lines for an error message, also after `close`; 8 KiB at most."""
        with file_errors(self._path, "read"), self._path.open("rb") as log:
            log.seek(max(0, self.bytes - _TAIL))
            return "\n".join(text_of(log.read()).removesuffix("\n").split("\n")[-lines:])

    def _numbered(self, pieces: list[Piece], t: float) -> list[Lines]:
        numbered = []
        for piece in pieces:
            numbered.append(Lines(self._source, self._count, t, piece))
            self._count += piece.count
        return numbered
