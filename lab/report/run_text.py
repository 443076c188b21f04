"""A run in a few lines of text: its faults in order, and the last lines of each process."""

from collections import deque
from collections.abc import Iterator

from pushpull.analysis.event_text import EventDescriber
from pushpull.core.records import Record
from pushpull.core.text import harmless
from pushpull.runs.store import StoredRun

_LONGEST = 200
_LAST = 8


def run_text(stored: StoredRun) -> str:
    """Return the directory, the events that matter, and each process's last lines of a run.

    Times are seconds since the run began.
    """
    return "\n".join(_parts(stored))


def _parts(stored: StoredRun) -> Iterator[str]:
    began = float(stored.description["started"])
    yield f"run: {stored.path.resolve()}"
    describer = EventDescriber()
    for event in sorted(stored.events, key=lambda event: event.t):
        if text := describer.describe(event):
            yield f"{event.t - began:8.3f} s  {text}"
    last: dict[tuple[str, str, str], deque[Record]] = {}
    for record in stored.records:
        place = (record.machine, record.process, record.stream)
        last.setdefault(place, deque(maxlen=_LAST)).append(record)
    for (machine, process, stream), records in sorted(last.items()):
        yield f"last lines of {process} on {machine} ({stream}):"
        for record in records:
            yield f"{record.t - began:8.3f} s  {_shown(record)}"


def _shown(record: Record) -> str:
    if record.shown is None:
        return f"(a line of {record.length:,} bytes)"
    return harmless(record.shown, _LONGEST)
