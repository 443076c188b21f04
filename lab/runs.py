"""The run directory: the only file that knows its layout."""

import contextlib
import difflib
import fcntl
import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lab.errors import LabError
from lab.jsonl import (
    LineFile,
    event_line,
    explained,
    malformed,
    read_json,
    read_lines,
    record_lines,
    to_event,
    to_record,
)
from lab.records import Event, Record

_SUFFIX = {"stdout": "log", "stderr": "err"}


class RunDirectory:
    """A run directory that is being written; `create` makes it. Its methods are thread-safe.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._description: dict[str, Any] = {}
        # The lock says that the writer lives: the kernel drops it, however the process ends (once
        # the last child is gone that was forked from it and has not called exec).
        self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # waits only for a reader's probe, microseconds
        self._records = LineFile(path / "records.jsonl")
        self._events = LineFile(path / "events.jsonl")

    @classmethod
    def create(cls, root: Path, experiment: str, description: Mapping[str, Any]) -> "RunDirectory":
        """Make the folder of a new run, in the state `running`, and let `latest` point to it.

        Arguments:
            root: the folder of all runs; made when it is missing.
            experiment: the experiment's name, `[a-z0-9_]{1,40}`: the folder's name ends with it.
            description: what run.json is to tell of the run, as JSON values; `call` is an id that
                the runs of one `fab run-experiment` share.

        Raises:
            LabError: the name is not one, or the folder can't be written.
        """
        _check_name("an experiment", experiment, r"[a-z0-9_]{1,40}")
        path = _make_folder(root, experiment)
        head = {"state": "running", "experiment": experiment, "started": time.time()}
        try:
            with explained(path):
                run = cls(path)
                run.update(**head, **description)
                # After run.json, so that `latest` always leads to a whole run directory.
                link = path / ".latest"
                link.symlink_to(path.name)
                link.replace(root / "latest")
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)  # nothing has run yet
            raise
        return run

    def log(self, machine: str, process: str, stream: str) -> io.FileIO:
        """Open the file that gets one stream of a process byte for byte, unbuffered.

        Arguments:
            machine, process: their names; a further life of `echo` is `echo.2`.
            stream: `stdout` or `stderr`.

        Raises:
            LabError: a name can't be a file's, or the file can't be made.
            FileExistsError: that stream was opened before.
        """
        _check_name("a machine", machine, r"[a-z][a-z0-9-]{0,62}")
        _check_name("a program", process, r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
        path = self.path / machine / f"{process}.{_SUFFIX[stream]}"
        if path.exists():
            raise FileExistsError(f"{path} was opened before")
        with explained(path):
            path.parent.mkdir(exist_ok=True)
            return io.FileIO(path, "a")

    def packets(self, machine: str) -> io.FileIO:
        """Open the file that gets the packets of a machine's lab link, unbuffered."""
        path = packets_of(self.path, machine)
        with explained(path):
            path.parent.mkdir(exist_ok=True)
            return io.FileIO(path, "a")

    def record(self, records: Sequence[Record]) -> None:
        """Append captured lines to records.jsonl, in one write.

        Raises:
            LabError: the disk is full, or the like; earlier records are untouched.
        """
        self._records.append(record_lines(records))

    def recorded(self) -> list[Record]:
        """Return the captured lines so far."""
        return read_lines(self.path / "records.jsonl", to_record)

    def event(self, event: Event) -> None:
        """Append one event to events.jsonl; its details become keys of their own.

        Raises:
            LabError: the disk is full, or the like; earlier events are untouched.
            ValueError: a detail has the name of a field of Event, or is no JSON value.
        """
        self._events.append(event_line(event))

    def update(self, **fields: Any) -> None:
        """Merge fields into run.json."""
        with self._mutex:
            merged = self._description | fields
            self._replace("run.json", _pretty(merged))
            self._description = merged

    def write_verdicts(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Write verdicts.json: a list, one object per claim."""
        self._replace("verdicts.json", _pretty(list(verdicts)))

    def attach(self, name: str, text: str) -> None:
        """Add a file to the run, or replace it: `traceback.txt`, `report.html`."""
        _check_name("an attached file", name, r"[a-z][a-z0-9_-]{0,60}\.(txt|html|svg)")
        self._replace(name, text)

    def finish(self, state: str) -> None:
        """Write the last word, `finished` or `interrupted`, and close the run."""
        if state not in ("finished", "interrupted"):
            raise ValueError(f"a run does not end as {state!r}")
        try:
            self.update(state=state)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the files and the lock. A run that is closed without `finish` has died."""
        with self._mutex:
            self._records.close()
            self._events.close()
            if self._lock >= 0:
                fcntl.flock(self._lock, fcntl.LOCK_UN)  # also where a forked child has a copy
                os.close(self._lock)
                self._lock = -1

    def _replace(self, name: str, text: str) -> None:
        """Rename a whole new file into place: a reader sees the old one or the new one."""
        new = self.path / f".{name}"
        with self._mutex, explained(self.path / name):
            new.write_text(text, "utf-8", "backslashreplace")
            new.replace(self.path / name)


def packets_of(run: Path, machine: str) -> Path:
    """Return the place of a machine's packets in a run; there is none if they weren't captured."""
    return run / machine / "lab.pcap"


def _check_name(kind: str, name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        what = f"This can't be the name of {kind}: {name[:80]!r}."
        raise LabError(what, cure=f"It becomes part of a file's name: {pattern}")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _make_folder(root: Path, experiment: str) -> Path:
    """Make a folder that is nobody else's: two runs may start in the same second."""
    stem = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{experiment}"
    path, k = root / stem, 1
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
            k += 1
            path = root / f"{stem}-{k}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as it lies on the disk.

    Attributes:
        path: its folder.
        state: `running`, `finished`, `interrupted`, or `died`: gone without a last word.
        description: the content of run.json.
        records, events: in the order in which they were written.
        verdicts: the content of verdicts.json, or None before there is one.
    """

    path: Path
    state: str
    description: dict[str, Any]
    records: tuple[Record, ...]
    events: tuple[Event, ...]
    verdicts: list[dict[str, Any]] | None


def load(path: Path) -> StoredRun:
    """Read a run, also one that is being written or whose writer died in the midst of a line.

    Raises:
        LabError: it can't be read or is malformed; names the file and the line.
    """
    # The lock comes first: of a writer that ends in between, the last word then counts.
    alive = _is_locked(path)
    description = _read_description(path)
    died = description["state"] == "running" and not alive
    return StoredRun(
        path=path,
        state="died" if died else description["state"],
        description=description,
        records=tuple(read_lines(path / "records.jsonl", to_record)),
        events=tuple(read_lines(path / "events.jsonl", to_event)),
        verdicts=_read_verdicts(path),
    )


def find(root: Path, name: str | None) -> Path:
    """Return the folder of a run.

    Arguments:
        root: the folder of all runs.
        name: its name, its path, or None for the one that was started last.

    Raises:
        LabError: there is no such run; names those that are most like it, else the last.
    """
    latest = root / "latest"
    with contextlib.suppress(OSError):  # no such link, or a name longer than one can be
        for path in (root / latest.readlink(),) if name is None else (root / name, Path(name)):
            if (path / "run.json").is_file():
                return path
    names = [path.name for path in _folders(root)]
    if not names:
        cure = "`./fab run-experiment` makes the first one; --runs DIR looks elsewhere."
        raise LabError("There are no runs here yet.", where=str(root), cure=cure)
    if name is None:
        return root / names[-1]  # the latest was removed by hand
    near = ", ".join(difflib.get_close_matches(name, names) or names[-3:])
    raise LabError(f"There is no run {name!r}.", where=str(root), cure=f"There are: {near}.")


def last_call(root: Path) -> list[Path]:
    """Return the folders of the runs of the last `fab run-experiment`, in the order of their start.

    Raises:
        LabError: there is no run.
    """
    latest = find(root, None)
    description = _read_description(latest)
    if "call" not in description:
        return [latest]
    started = {}
    for path in _folders(root):
        with contextlib.suppress(LabError):  # another run's trouble is not this one's
            other = _read_description(path)
            if other.get("call") == description["call"]:
                started[path] = other["started"]
    return sorted(started, key=started.__getitem__)


def last_verdicts(root: Path, experiment: str, most: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the newest runs of an experiment that were judged to their end, newest first.

    Arguments:
        root: the folder of all runs.
        experiment: its name.
        most: how many to return at most.

    Returns the name of each with the content of its verdicts.json.
    """
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for path in reversed(_folders(root)):
        if len(found) == most:
            break
        if re.fullmatch(rf"\w+Z-{experiment}(-\d+)?", path.name):
            with contextlib.suppress(LabError):  # another run's trouble is not this one's
                if verdicts := [v for v in _read_verdicts(path) or [] if not v.get("partial")]:
                    found.append((path.name, verdicts))
    return found


def _folders(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.glob("*Z-*/run.json"))


def _is_locked(path: Path) -> bool:
    with explained(path, "read"):
        probe = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: readers may be many
        except BlockingIOError:
            return True
        finally:
            os.close(probe)
    return False


def _read_description(path: Path) -> dict[str, Any]:
    file = path / "run.json"
    description = read_json(file)
    match description:
        case {"state": "running" | "finished" | "interrupted", "started": float()}:
            return cast(dict[str, Any], description)
    raise malformed(file, 1)


def _read_verdicts(path: Path) -> list[dict[str, Any]] | None:
    file = path / "verdicts.json"
    verdicts = read_json(file) if file.exists() else None
    if verdicts is None or isinstance(verdicts, list):
        return verdicts
    raise malformed(file, 1)
