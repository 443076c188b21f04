"""Reads stored runs, and checks them once, so that all later code can rely on them.

A run directory may come from anywhere. So each file must be a plain one of limited size, each value
must match run_schema.py, and each line must lie inside its log.
"""

import contextlib
import difflib
import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core.errors import LabError, RunStoreError
from pushpull.core.os_errors import file_errors
from pushpull.core.project import COMMAND
from pushpull.core.records import Event, Record
from pushpull.core.run_schema import require_description, require_event, require_verdicts
from pushpull.runs.directory import log_of
from pushpull.runs.jsonl import to_event, to_record
from pushpull.runs.regular_files import read_regular, require_plain_files, whole_lines
from pushpull.runs.stored_records import derive

# A run's folder: its start, its experiment, a number if two started in one second, and the tag that
# it got when it was packed.
NAME = re.compile(
    r"[0-9]{8}T[0-9]{6}Z-(?P<experiment>[a-z0-9_]{1,40})(-[0-9]{1,4})?(-(?P<tag>[0-9a-f]{6}))?"
)
MOST_FILES = 100_000
_LARGEST_DESCRIPTION = 16 * 1024**2  # bytes; of 1,000 machines it is half a megabyte
_LARGEST_VERDICTS = 64 * 1024**2
_LARGEST_LINES = 4 * 1024**3
_LONGEST_LINE = 1024**2  # of 64 KiB each byte may be an escape of six


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run on the disk.

    Attributes:
        path: its folder.
        state: `running`, `finished`, `interrupted`, or `died` (its writer ended without a state).
        description: the content of run.json.
        records: the lines that were captured; of runs that have indexes, see `StoredRecords`.
        events: in the order in which they were written.
        verdicts: the content of verdicts.json, or None before there is one.
    """

    path: Path
    state: str
    description: dict[str, Any]
    records: Sequence[Record]
    events: tuple[Event, ...]
    verdicts: list[dict[str, Any]] | None


def load(path: Path) -> StoredRun:
    """Read a run, even one in progress, or one whose writer died in the middle of a line.

    Raises:
        RunStoreError: it can't be read, or is malformed; names the file and the line.
    """
    # Check the lock first: if the writer ends meanwhile, its final state counts.
    alive = _is_locked(path)
    require_plain_files(path, most=MOST_FILES)
    description = _read_description(path)
    machines = set(description["inventory"]) if "inventory" in description else None
    state = "died" if description["state"] == "running" and not alive else description["state"]
    records: Sequence[Record]
    if description.get("format", 1) == 1:
        records = tuple(_records(path, machines))
    else:
        records = derive(path, machines, closed=state in ("finished", "interrupted"))
    return StoredRun(
        path=path,
        state=state,
        description=description,
        records=records,
        events=tuple(_events(path, machines)),
        verdicts=_read_verdicts(path),
    )


def _records(path: Path, machines: set[str] | None) -> Iterator[Record]:
    """Give the records of a run of format 1, which wrote each line to records.jsonl.

    Those of a stream count on and follow each other in its log.
    """
    file = path / "records.jsonl"
    ends: dict[tuple[str, str, str], tuple[int, int]] = {}
    for number, line in enumerate(_lines(file), 1):
        try:
            record = to_record(json.loads(line))
            stream = (record.machine, record.process, record.stream)
            n, end = ends.get(stream, (0, 0))
            if record.n < n or record.offset < end:  # more: a full disk may have cost records
                raise ValueError("it doesn't follow the line before it")
            if stream not in ends:
                _require_known(record.machine, machines)
        except (ValueError, TypeError, RecursionError) as error:
            raise malformed(file, number, error) from error
        ends[stream] = (record.n + 1, record.offset + record.length + 1)
        yield record
    for (machine, process, of), (n, end) in ends.items():  # the logs only grow
        _require_in_log(log_of(path, machine, process, of), n, end - 1)


def _events(path: Path, machines: set[str] | None) -> Iterator[Event]:
    file = path / "events.jsonl"
    for number, line in enumerate(_lines(file), 1):
        try:
            value = json.loads(line)
            require_event(value)
            event = to_event(value)
            _require_known(event.machine, machines)
        except (ValueError, TypeError, RecursionError) as error:
            raise malformed(file, number, error) from error
        yield event


def _lines(file: Path) -> Iterator[bytes]:
    """Give the whole lines; what follows the last newline is being written, or its writer died."""
    return whole_lines(file, largest=_LARGEST_LINES, longest=_LONGEST_LINE)


def _require_known(machine: str, machines: set[str] | None) -> None:
    if machine and machines is not None and machine not in machines:
        raise ValueError(f"the run has no machine {machine!r}")


def _require_in_log(log: Path, lines: int, end: int) -> None:
    """Raise RunStoreError where a log is shorter than the lines that it is said to have."""
    if log.exists() and log.stat().st_size < end:
        raise RunStoreError(
            f"This log has {log.stat().st_size:,} bytes, its {lines:,} lines have {end:,}.",
            where=str(log),
            hint="It was changed or truncated after the run; without it the run is readable.",
        )


def find(root: Path, name: str | None) -> Path:
    """Return the folder of a run.

    Arguments:
        root: the folder of all runs.
        name: its name, its path, or None for the last one started.

    Raises:
        LabError: there is no such run; names the most similar ones, or else the last ones.
    """
    latest = root / "latest"
    with contextlib.suppress(OSError):  # no such link, or a name longer than one can be
        for path in (root / latest.readlink(),) if name is None else (root / name, Path(name)):
            if (path / "run.json").is_file():
                return path
    names = [path.name for path in folders(root) if NAME.fullmatch(path.name)]
    if not names:
        hint = f"`{COMMAND} run-experiment` makes the first one; --runs DIR looks elsewhere."
        raise LabError("There are no runs here yet.", where=str(root), hint=hint)
    if name is None:
        return root / names[-1]  # the latest was removed by hand
    near = ", ".join(difflib.get_close_matches(name, names) or names[-3:])
    raise LabError(f"There is no run {name!r}.", where=str(root), hint=f"There are: {near}.")


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
    for path in folders(root):
        with contextlib.suppress(LabError):  # ignore an unreadable run
            other = _read_description(path)
            if other.get("call") == description["call"]:
                started[path] = other["started"]
    return sorted(started, key=started.__getitem__)


def last_verdicts(
    root: Path, experiment: str, most: int, *, counts: Callable[[Mapping[str, Any]], bool]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the newest runs of an experiment that were judged to their end, newest first.

    Arguments:
        root: the folder of all runs.
        experiment: its name.
        most: how many to return at most.
        counts: tells by a run's description whether it is one of those that are meant.

    Returns the name of each with the content of its verdicts.json.
    """
    found: list[tuple[str, list[dict[str, Any]]]] = []
    for path in reversed(folders(root)):
        if len(found) == most:
            break
        if (name := NAME.fullmatch(path.name)) and name["experiment"] == experiment:
            with contextlib.suppress(LabError):  # ignore an unreadable run
                verdicts = [v for v in _read_verdicts(path) or [] if not v.get("partial")]
                if verdicts and counts(_read_description(path)):
                    found.append((path.name, verdicts))
    return found


def description(path: Path) -> dict[str, Any]:
    """Return the content of a run's run.json alone; LabError where it can't be read."""
    return _read_description(path)


def belongs_to_sweep(path: Path, sweep: str) -> bool:
    """Tell whether a run was made by the sweep of this id; LabError where the run can't be read."""
    return bool(_read_description(path).get("sweep", {}).get("id") == sweep)


def folders(root: Path) -> list[Path]:
    """Return the folders of all runs, by name: in the order of the seconds of their start."""
    return sorted(path.parent for path in root.glob("*Z-*/run.json"))


def _is_locked(path: Path) -> bool:
    with file_errors(path, "read"):
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
    value = _read_json(file, _LARGEST_DESCRIPTION)
    try:
        return require_description(value)
    except ValueError as error:
        raise malformed(file, 1, error) from error


def _read_verdicts(path: Path) -> list[dict[str, Any]] | None:
    file = path / "verdicts.json"
    if not os.path.lexists(file):
        return None
    value = _read_json(file, _LARGEST_VERDICTS)
    try:
        return require_verdicts(value)
    except ValueError as error:
        raise malformed(file, 1, error) from error


def _read_json(file: Path, largest: int) -> Any:
    try:
        return json.loads(read_regular(file, largest=largest))
    except (ValueError, RecursionError) as error:
        raise malformed(file, getattr(error, "lineno", 1), error) from error


def malformed(file: Path, line: int, why: Exception) -> RunStoreError:
    """Return the error for malformed content."""
    reason = "it is not JSON" if isinstance(why, json.JSONDecodeError) else str(why)[:300]
    return RunStoreError(
        f"This is malformed: {reason}.",
        where=f"{file}:{line}",
        hint="Was it edited by hand? The lab never writes it like this.",
    )
