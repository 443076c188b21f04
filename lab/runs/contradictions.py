"""Whether the files of a stored run contradict each other: then somebody changed it by hand.

This finds carelessness and simple forgery. Whoever makes all files anew to match isn't found out:
a run is not signed.
"""

import json
from collections.abc import Iterator
from itertools import zip_longest

from pushpull.core.records import Record
from pushpull.runs.directory import log_of
from pushpull.runs.jsonl import to_record
from pushpull.runs.lines import LONGEST_TEXT, text_of
from pushpull.runs.records_file import NAME
from pushpull.runs.regular_files import whole_lines
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import Log, StoredRecords
from pushpull.runs.sums import changed

_LARGEST = 4 * 1024**3
_LONGEST_LINE = 1024**2
_EARLY_S = 1.0


def contradiction(stored: StoredRun) -> str:
    """Return where a run's files contradict each other or its checksums; empty if they don't.

    Raises:
        LabError: a file can't be read.
    """
    if isinstance(stored.records, StoredRecords):
        found = _in_starts(stored, stored.records) or _in_listed(stored)
    else:
        found = _in_logs(stored)
    name = "" if found else changed(stored.path, stored.description)
    return f"{name} is not as the run left it" if name else found


def _in_starts(stored: StoredRun, records: StoredRecords) -> str:
    """Compare the events by which programs were started with the logs, and with the run's start."""
    if stored.state != "finished":
        return ""
    starts = {(e.machine, e.process): e.t for e in stored.events if e.event == "start"}
    for machine, process in sorted(starts):
        if not log_of(stored.path, machine, process, "stdout").exists():
            return f"{process} was started on {machine}, but its log is missing"
    for machine, process, _ in sorted(records.sources()):
        if (machine, process) not in starts:
            return f"{process} on {machine} has a log, but no event says that it was started"
    if starts and min(starts.values()) < stored.description["started"] - _EARLY_S:
        return "by its events, a program was started before the run"
    return ""


def _in_listed(stored: StoredRun) -> str:
    """Compare records.jsonl, which the lab writes from the logs and never reads, with the logs."""
    file = stored.path / NAME
    if not file.exists():
        return ""
    for number, (line, record) in enumerate(zip_longest(_lines(stored), stored.records), 1):
        if line is None or record is None:
            return f"{NAME} has {'fewer' if line is None else 'more'} lines than the logs"
        if _record(line) != record:
            return f"line {number} of {NAME} is not what the logs have"
    return ""


def _lines(stored: StoredRun) -> Iterator[bytes]:
    return whole_lines(stored.path / NAME, largest=_LARGEST, longest=_LONGEST_LINE)


def _record(line: bytes) -> Record | None:
    try:
        return to_record(json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _in_logs(stored: StoredRun) -> str:
    """Compare the records of a run of format 1 with those of its logs that are there."""
    logs: dict[tuple[str, str, str], Log | None] = {}
    for number, record in enumerate(stored.records, 1):
        source = (record.machine, record.process, record.stream)
        if source not in logs:
            path = log_of(stored.path, *source)
            logs[source] = Log(path) if path.exists() else None
        log = logs[source]
        if log is None or record.text is None or record.length > LONGEST_TEXT:
            continue
        if text_of(log.read(record.offset, record.length)) != record.text:
            return f"line {number} of {NAME} is not what the log has"
    return ""
