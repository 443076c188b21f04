"""Records and events as lines of JSON, in files that outlive a crash and a full disk.

What survives what: every write goes straight to the kernel, so all of it outlives a `kill -9` of
the process that wrote it. Nothing is synced to the disk: if the whole computer loses its power,
the last seconds may be gone.
"""

import contextlib
import errno
import io
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lab.errors import LabError
from lab.records import Event, Record

_T = TypeVar("_T")
_OTHER = "name another folder with --runs DIR."
_CURES = {
    f"Free some space, or {_OTHER} What was captured is kept.": {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG,
    },
    f"Get the permission for it, or {_OTHER}": {errno.EROFS, errno.EACCES, errno.EPERM},
    f"Move away what has that name, or {_OTHER}": {errno.EEXIST, errno.EISDIR, errno.ENOTDIR},
    f"No locks there (is it a network share?): {_OTHER}": {
        errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF,
    },
    "Was the folder moved or removed meanwhile?": {errno.ENOENT},
}  # fmt: skip


@contextlib.contextmanager
def explained(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn the operating system's refusals into a LabError that names the path and a cure."""
    try:
        yield
    except OSError as error:
        cures = [cure for cure, codes in _CURES.items() if error.errno in codes]
        if not cures:
            raise
        what = f"Cannot {verb} this: {error.strerror}."
        raise LabError(what, where=str(path), cure=cures[0]) from error


class LineFile:
    """A file that only grows, by whole lines. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = io.FileIO(path, "a")
        self._mutex = threading.Lock()
        self._end = 0  # of the last whole line
        self._torn = False

    def append(self, lines: bytes) -> None:
        """Append whole lines, in one write where the disk takes it.

        Raises:
            LabError: the disk is full, or the like; the lines before are untouched.
        """
        with self._mutex, explained(self._path):
            if self._torn:  # a full disk cut a line in two: the next is not to be glued to it
                self._file.truncate(self._end)
            self._torn = True
            start, written = self._end, 0
            while written < len(lines):
                written += self._file.write(lines[written:])
                self._end = start + lines.rfind(b"\n", 0, written) + 1
            self._torn = False

    def close(self) -> None:
        with self._mutex:
            self._file.close()


def read_lines(path: Path, parse: Callable[[Any], _T]) -> list[_T]:
    """Return what `parse` makes of each line's value.

    What follows the last newline is ignored: it is a line that is being written, or one in whose
    midst the writer died.

    Raises:
        LabError: the file can't be read, or a line is no JSON or one that makes `parse` raise a
            TypeError.
    """
    with explained(path, "read"):
        lines = path.read_bytes().split(b"\n")[:-1]
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            parsed.append(parse(json.loads(line)))
        except (ValueError, TypeError, RecursionError) as error:
            raise malformed(path, number) from error
    return parsed


def read_json(path: Path) -> Any:
    """Return the value in a file.

    Raises:
        LabError: the file can't be read, or is no JSON.
    """
    try:
        with explained(path, "read"):
            return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise malformed(path, getattr(error, "lineno", 1)) from error


def malformed(path: Path, line: int) -> LabError:
    """Return the error that says so."""
    cure = "Was it edited by hand? Nothing of the lab writes it like that."
    return LabError("This is not what a run leaves there.", where=f"{path}:{line}", cure=cure)


def record_lines(records: Sequence[Record]) -> bytes:
    """Return what json.dumps gives for each record, a line each, at a sixth of its cost."""
    # One call quotes all texts: JSON has no newline inside a string, so it can part them.
    texts = json.dumps([r.text for r in records], separators=("\n", ":"))[1:-1].split("\n")
    lines, source, t = [], None, None
    for r, text in zip(records, texts, strict=False):  # no records make one text, ""
        if source != (r.machine, r.process, r.stream) or t != r.t:  # once per captured chunk
            source, t = (r.machine, r.process, r.stream), r.t
            names = {"machine": r.machine, "process": r.process, "stream": r.stream}
            head, time_ = json.dumps(names)[:-1], json.dumps(t)
        lines.append(
            f'{head}, "n": {r.n}, "t": {time_}, "text": {text}, '
            f'"offset": {r.offset}, "length": {r.length}}}\n'
        )
    return "".join(lines).encode()


def event_line(event: Event) -> bytes:
    """Return an event's line; its details become keys beside its own.

    Raises:
        ValueError: a detail has the name of a field of Event, or is no JSON value.
    """
    who = {"machine": event.machine, "process": event.process}
    fields = {"t": event.t, "event": event.event} | {k: v for k, v in who.items() if v}
    if hidden := event.details.keys() & {"t", "event", *who}:
        raise ValueError(f"details of {event.event!r} would hide its {sorted(hidden)}")
    return json.dumps(fields | event.details, allow_nan=False).encode() + b"\n"


def to_record(value: Any) -> Record:
    """Return the record whose line had this value; TypeError when it is none."""
    match value:
        case {
            "machine": str(), "process": str(), "stream": str(), "n": int(),
            "t": float() | int(), "text": str() | None, "offset": int(), "length": int(),
        }:  # fmt: skip
            return Record(**value)
    raise TypeError("not a record")


def to_event(value: Any) -> Event:
    """Return the event whose line had this value; TypeError when it is none."""
    match value:
        case {"t": float() | int(), "event": str()}:
            names = ("t", "event", "machine", "process")
            details = {key: value[key] for key in value if key not in names}
            return Event(**{key: value[key] for key in names if key in value}, details=details)
    raise TypeError("not an event")
