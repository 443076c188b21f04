"""The machines' logs side by side, as the page shows them: like a terminal, but harmless."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from lab.analysis.event_text import EventDescriber
from lab.analysis.side_by_side import Row
from lab.analysis.timeline import LATE_S, Timeline
from lab.core.records import Record
from lab.core.text import duration, harmless, line_of
from lab.report import chart_data

_LONGEST_LINE = 2_000  # characters, if there are few lines
_SHORTEST = 40
_ROOM = 5_000_000  # characters of all lines together
EACH_END = 1_000  # of each log, the page shows this many first and last lines without a message

# A row has its second, the number of the message that it is about (if any), a note, an event (then
# it has no line), and one or two lines, each with the lane of its machine.
_COLUMNS = ("t", "number", "note", "event", "lane", "text", "lane2", "text2")


def columns(rows: Sequence[Row], said: Sequence[Record], found: Timeline) -> dict[str, Any]:
    """Return the rows of the logs as columns, ordered by time, and whether lines are left out.

    Arguments:
        rows: the lines on stdout side by side, and the events.
        said: the lines on stderr, except for traces.
        found: the run's timeline; of very many messages, only those that the page draws are kept.
    """
    start = _start(rows, found)
    shown = [*_kept(rows, found), *(Row(t=r.t - start, records=(r,)) for r in said)]
    shown, left_out = _ends(shown)
    shown.sort(key=lambda row: row.t)
    longest = min(_LONGEST_LINE, max(_SHORTEST, _ROOM // (len(shown) + 1)))
    lane = {name: k for k, name in enumerate(found.machines)}
    describer = EventDescriber()
    sends = any(p.sent is not None for p in found.deliveries)
    filled: dict[str, Any] = {name: [] for name in _COLUMNS} | {"bounded": bool(left_out)}
    for row in shown:
        event = describer.describe(row.event) if row.event else left_out.get(id(row), "")
        if row.event and not event:
            continue
        t = round(row.t + start - found.origin, 4)
        cells = [x for r in row.records for x in (lane[r.machine], _line(r, longest))]
        note = _note(row) if sends else ""
        values = (t, row.number, note, event, *cells, *[None] * (4 - len(cells)))
        for name, value in zip(_COLUMNS, values, strict=True):
            filled[name].append(value)
    return filled


def _start(rows: Sequence[Row], found: Timeline) -> float:
    """Return the UNIX time from which the rows count their seconds."""
    for row in rows:
        if row.records:
            return min(record.t for record in row.records) - row.t
    return found.origin


def _kept(rows: Sequence[Row], found: Timeline) -> Sequence[Row]:
    places, stride = chart_data.kept(found.deliveries, chart_data.MOST_KEPT)
    if stride == 1:
        return rows
    numbers = {found.deliveries[i].number for i in places}
    return [row for row in rows if row.number is None or row.number in numbers]


def _ends(rows: Sequence[Row]) -> tuple[list[Row], dict[int, str]]:
    """Return the rows without the middle of very long logs, and a text for each gap.

    A row without records marks a gap; the texts are keyed by the `id` of that row.
    """
    logs: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for k, row in enumerate(rows):
        if row.number is None and row.records:
            record = row.records[0]
            logs[record.machine, record.process, record.stream].append(k)
    shown: list[Row | None] = list(rows)
    marks: list[Row] = []
    texts: dict[int, str] = {}
    for (machine, process, stream), places in logs.items():
        middle = places[EACH_END:-EACH_END]
        if not middle:
            continue
        marks.append(Row(t=rows[middle[0]].t))
        suffix = "err" if stream == "stderr" else "log"
        lines = "1 line" if len(middle) == 1 else f"{len(middle):,} lines"
        texts[id(marks[-1])] = (
            f"{lines} left out: see {harmless(f'{machine}/{process}', 200)}.{suffix}"
        )
        for k in middle:
            shown[k] = None
    return [row for row in shown if row is not None] + marks, texts


def _line(record: Record, longest: int) -> str:
    mark = "stderr: " if record.stream == "stderr" else ""
    return mark + line_of(record, longest)


def _note(row: Row) -> str:
    if row.note or not row.records:
        return row.note
    delay = row.records[-1].t - row.records[0].t
    return f"{duration(delay)} later" if delay >= LATE_S else ""
