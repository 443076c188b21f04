"""A run's lines as JSON, made of its logs and indexes for whoever wants to read them so."""

from itertools import islice
from pathlib import Path

from pushpull.core.os_errors import file_errors
from pushpull.runs.jsonl import record_lines
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import StoredRecords

NAME = "records.jsonl"
MOST_UNASKED = 100_000  # lines; of a run with more it is made only when someone asks for it
_AT_ONCE = 10_000


def write(stored: StoredRun) -> Path:
    """Write each line of a run to records.jsonl, in the order of `StoredRun.records`; return it.

    Of a run of format 1 it is what all else is read from, and stays as it is.

    Raises:
        LabError: a log can't be read, or the file not be written.
    """
    file = stored.path / NAME
    if not isinstance(stored.records, StoredRecords):
        return file
    new = file.with_name(f".{NAME}")
    records = iter(stored.records)
    try:
        with file_errors(file):
            new.unlink(missing_ok=True)  # whatever lies there, a link above all
            with new.open("xb") as made:
                while some := list(islice(records, _AT_ONCE)):
                    made.write(record_lines(some))
            new.replace(file)
    finally:
        new.unlink(missing_ok=True)
    return file
