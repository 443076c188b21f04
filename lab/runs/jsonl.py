"""Records and events as lines of JSON, in files that outlive a crash and a full disk.

Durability: every write goes straight to the kernel, so it survives a `kill -9` of the writer. But
nothing is synced to the disk: if the computer loses its power, the last seconds may be lost.
"""

import functools
import io
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushpull.core.os_errors import file_errors
from pushpull.core.records import Event, Record
from pushpull.core.run_schema import LARGEST, LATEST, MACHINE, PROCESS


class LineFile:
    """A file that only grows, by complete lines. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = io.FileIO(path, "a")
        self._mutex = threading.Lock()
        self._end = 0  # of the last whole line
        self._torn = False

    def append(self, lines: bytes) -> None:
        """Append whole lines, in one write where the disk takes it.

        Raises:
            RunStoreError: the disk is full, or the like; the lines before are untouched.
        """
        with self._mutex, file_errors(self._path):
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
            "machine": str(machine), "process": str(process), "stream": "stdout" | "stderr",
            "n": n, "t": t, "text": str() | None, "offset": offset, "length": length,
        } if (
            # As run_schema has it, but written out: of a million lines calls cost a fifth.
            type(n) is type(offset) is type(length) is int
            and 0 <= n < LARGEST and 0 <= offset < LARGEST and 0 <= length < LARGEST
            and (type(t) is float or type(t) is int) and 0 <= t < LATEST
            and _is_source(machine, process)
        ):  # fmt: skip
            return Record(**value)
    raise TypeError("it is no record")


@functools.lru_cache(1024)  # a run has few of them
def _is_source(machine: str, process: str) -> bool:
    return bool(re.fullmatch(MACHINE, machine) and re.fullmatch(PROCESS, process))


def to_event(value: Any) -> Event:
    """Return the event whose line had this value."""
    names = ("t", "event", "machine", "process")
    details = {key: value[key] for key in value if key not in names}
    return Event(**{key: value[key] for key in names if key in value}, details=details)
