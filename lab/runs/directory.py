"""Writes a run directory; store.py reads it. No other room knows its layout."""

import contextlib
import fcntl
import io
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.core.records import Event
from pushpull.core.run_schema import MACHINE, PROCESS
from pushpull.runs.index import ENDING, IndexFile
from pushpull.runs.jsonl import LineFile, event_line
from pushpull.runs.sums import sums

MODULE = "experiment.py"  # of a user's own experiment
EXPERIMENT = "_experiment"  # a copy of the user's own experiment; not a valid machine name
# The number of a run whose name was taken, and the tag of one that was packed.
_ENDING = re.compile(r"(-[0-9]{1,4})?(-[0-9a-f]{6})?$")
_RESERVE = 256 * 1024  # bytes of the disk, for what is said of a run in the end
FORMAT = 2  # in runs of format 1, which don't say so, each line was written to records.jsonl
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
        # The lock shows that the writer lives. The kernel drops it however the process ends (once
        # its last forked child that has not called exec is gone).
        self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)  # waits only for a reader's probe, microseconds
        # Nameless, so that it is gone with this process, whatever ends that.
        self._reserve = tempfile.TemporaryFile(dir=path, buffering=0)  # noqa: SIM115
        self._reserve.write(bytes(_RESERVE))
        self._events = LineFile(path / "events.jsonl")

    @classmethod
    def create(cls, root: Path, experiment: str, description: Mapping[str, Any]) -> "RunDirectory":
        """Create the folder of a new run, in the state `running`, and let `latest` point to it.

        Arguments:
            root: the folder of all runs; created if it is missing.
            experiment: the experiment's name, `[a-z0-9_]{1,40}`: the folder's name ends with it.
            description: the fields of run.json, as JSON values; `call` is an id that the runs of
                one `fab run-experiment` share.

        Raises:
            LabError: the name is invalid, or the folder can't be written.
        """
        _check_name("an experiment", experiment, r"[a-z0-9_]{1,40}")
        path = _make_folder(root, experiment)
        head = {
            "state": "running",
            "format": FORMAT,
            "experiment": experiment,
            "started": clock.now(),
        }
        try:
            with file_errors(path):
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

    def log(self, machine: str, process: str, stream: str) -> tuple[io.FileIO, IndexFile]:
        """Open the file that gets one stream of a process byte for byte, unbuffered, and its index.

        Arguments:
            machine, process: their names; a further life of `echo` is `echo.2`.
            stream: `stdout` or `stderr`.

        Raises:
            LabError: a name can't be a file's, or a file can't be made.
            FileExistsError: that stream was opened before.
        """
        _check_name("a machine", machine, MACHINE)
        _check_name("a program", process, PROCESS)
        path = log_of(self.path, machine, process, stream)
        if path.exists():
            raise FileExistsError(f"{path} was opened before")
        with file_errors(path):
            path.parent.mkdir(exist_ok=True)
            return io.FileIO(path, "a"), IndexFile(index_of(path))

    def carry(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Copy the user's own experiment as it is now, so that its claims can be judged anywhere.

        Arguments:
            files: its files, by their names in its folder; links are followed.

        Returns:
            The copies, by the same names.

        Raises:
            LabError: one can't be read or written.
        """
        copies = {name: self.path / EXPERIMENT / name for name in files}
        for name, copy in copies.items():
            with file_errors(files[name], "keep"):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(files[name], copy)
        return copies

    def packets(self, machine: str) -> io.FileIO:
        """Open the file that gets the packets of a machine's lab link, unbuffered."""
        path = packets_of(self.path, machine)
        with file_errors(path):
            path.parent.mkdir(exist_ok=True)
            return io.FileIO(path, "a")

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

    def make_room(self) -> None:
        """Give the end of a run its room on a disk that may be full; nothing is captured by now."""
        self._reserve.close()

    def write_verdicts(self, verdicts: Sequence[Mapping[str, Any]]) -> None:
        """Write verdicts.json: a list, one object per claim."""
        self._replace("verdicts.json", _pretty(list(verdicts)))

    def attach(self, name: str, text: str) -> None:
        """Add a file to the run, or replace it: `traceback.txt`."""
        with self._mutex:
            attach(self.path, name, text)

    def finish(self, state: str) -> None:
        """Write the final state, `finished` or `interrupted`, and close the run."""
        if state not in ("finished", "interrupted"):
            raise ValueError(f"a run does not end as {state!r}")
        try:
            self.update(state=state)
            with contextlib.suppress(LabError):  # what went wrong may be that it can't be read
                self.update(sums=sums(self.path, self._description))
        finally:
            self.close()

    def close(self) -> None:
        """Close the files and release the lock. A run that is closed without `finish` has died."""
        with self._mutex:
            self._events.close()
            self._reserve.close()
            if self._lock >= 0:
                fcntl.flock(self._lock, fcntl.LOCK_UN)  # also where a forked child has a copy
                os.close(self._lock)
                self._lock = -1

    def _replace(self, name: str, text: str) -> None:
        """Rename a complete new file into place: a reader sees either the old or the new one."""
        with self._mutex:
            _replace(self.path / name, [text.encode("utf-8", "backslashreplace")])


def attach(path: Path, name: str, content: str | bytes | Iterable[str]) -> Path:
    """Add a file to a run, or replace it: `report.html`, `timeline.svg`; return its path.

    A text may come piece by piece.

    Raises:
        LabError: it can't be written.
    """
    _check_name("an attached file", name, r"[a-z][a-z0-9_-]{0,60}\.(txt|html|svg|png)")
    if isinstance(content, bytes):
        return _replace(path / name, [content])
    texts = [content] if isinstance(content, str) else content
    return _replace(path / name, (text.encode("utf-8", "backslashreplace") for text in texts))


def _replace(file: Path, data: Iterable[bytes]) -> Path:
    new = file.with_name(f".{file.name}")
    with file_errors(file):
        new.unlink(missing_ok=True)  # never write through what is there, such as a link
        try:
            with new.open("xb") as made:
                made.writelines(data)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)  # a half of it, on a disk that was full
    return file


def describe(path: Path, description: Mapping[str, Any]) -> None:
    """Rewrite the run.json of a run that has ended; LabError if that fails."""
    _replace(path / "run.json", [_pretty(description).encode("utf-8", "backslashreplace")])


def adopt(run: Path, root: Path, **fields: Any) -> Path:
    """Move a run that has ended into the folder of all runs; return its new place.

    Arguments:
        run: its folder, on the same disk. It gets a number if a run with its name is there.
        root: the folder of all runs.
        fields: new values for its run.json.

    Raises:
        LabError: it can't be moved.
    """
    describe(run, json.loads((run / "run.json").read_bytes()) | fields)
    target = _free_folder(root, _ENDING.sub("", run.name))
    with file_errors(target):
        run.replace(target)  # onto an empty folder
    return target


def log_of(run: Path, machine: str, process: str, stream: str) -> Path:
    """Return the path of one stream's log in a run."""
    return run / machine / f"{process}.{_SUFFIX[stream]}"


def index_of(log: Path) -> Path:
    """Return the place of a log's index."""
    return log.with_name(f"{log.name}{ENDING}")


def packets_of(run: Path, machine: str) -> Path:
    """Return the path of a machine's packets in a run; it exists only if they were captured."""
    return run / machine / "lab.pcap"


def _check_name(kind: str, name: str, pattern: str) -> None:
    if not re.fullmatch(pattern, name):
        what = f"This can't be the name of {kind}: {name[:80]!r}."
        raise LabError(what, hint=f"It becomes part of a file's name: {pattern}")


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _make_folder(root: Path, experiment: str) -> Path:
    """Create a unique folder, as two runs may start in the same second."""
    return _free_folder(root, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{experiment}")


def _free_folder(root: Path, stem: str) -> Path:
    """Create a folder that has this name, or one with a number if it is taken."""
    path, k = root / stem, 1
    with file_errors(root):
        root.mkdir(parents=True, exist_ok=True)
        while True:
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
            k += 1
            path = root / f"{stem}-{k}"
