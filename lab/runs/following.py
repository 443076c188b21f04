"""Reads the lines that a machine's programs print in a run, and follows a run in progress."""

import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

_LOOK_EVERY_S = 0.1
_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16  # bytes; a longer one is split into several lines


def lines(folder: Path, *, until: threading.Event) -> Iterator[str]:
    """Yield the lines of all logs in a folder, including later lives', until an event is set.

    This yields all lines that exist by then, including an unfinished last one. It opens only
    files, not, for example, a pipe that somebody put there.
    """
    logs: dict[Path, _Log] = {}
    over = until.is_set()
    while True:
        for path in sorted(folder.glob("*.log")):
            if path not in logs and path.is_file():
                logs[path] = _Log(path)
        for log in logs.values():
            yield from log.more(to_the_end=over)
        if over:
            break
        over = until.wait(_LOOK_EVERY_S)
    for log in logs.values():
        log.close()


def end_of(run: Path) -> threading.Event:
    """Return an event that is set when a run's writer, which has its lock, is gone."""
    ended = threading.Event()
    threading.Thread(target=_wait, args=(run, ended), daemon=True).start()
    return ended


def _wait(run: Path, ended: threading.Event) -> None:
    directory = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(directory, fcntl.LOCK_SH)
    ended.set()
    os.close(directory)


class _Log:
    """One process's log; remembers how far it was read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._rest = b""
        self.close = self._file.close

    def more(self, *, to_the_end: bool) -> Iterator[str]:
        while chunk := self._file.read(_CHUNK):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from map(_text, whole)
            if len(self._rest) > _LONGEST_LINE:
                yield _text(self._rest)
                self._rest = b""
        if to_the_end and self._rest:
            yield _text(self._rest)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
