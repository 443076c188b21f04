"""The machines' logs side by side, as the page shows them: as a terminal would, and harmless."""

from collections.abc import Sequence
from typing import Any

from lab.compare import Row
from lab.flow import LATE_S, Flow
from lab.records import Record
from lab.report import drawn
from lab.report.telling import Teller
from lab.report.text import duration, line_of

_LONGEST_LINE = 2_000  # characters, where there are few lines
_SHORTEST = 40
_ROOM = 5_000_000  # characters of all lines together

# A row has its second, its message's number if it speaks of one, a note, what happened (then there
# is no line), and one line or two, each with the place of its machine.
_COLUMNS = ("t", "number", "note", "told", "lane", "text", "lane2", "text2")


def columns(rows: Sequence[Row], said: Sequence[Record], found: Flow) -> dict[str, list[Any]]:
    """Return the rows of the logs as columns, in the order of time.

    Arguments:
        rows: what was printed on stdout side by side, and what happened.
        said: what was printed on stderr for people.
        found: the run's flow; of very many messages those are kept that the page draws.
    """
    start = _start(rows, found)
    shown = [*_kept(rows, found), *(Row(t=r.t - start, records=(r,)) for r in said)]
    shown.sort(key=lambda row: row.t)
    longest = min(_LONGEST_LINE, max(_SHORTEST, _ROOM // (len(shown) + 1)))
    lane = {name: k for k, name in enumerate(found.machines)}
    teller = Teller()
    sends = any(p.sent is not None for p in found.passages)
    filled: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for row in shown:
        told = teller.tell(row.event) if row.event else ""
        if row.event and not told:
            continue
        t = round(row.t + start - found.origin, 4)
        cells = [x for r in row.records for x in (lane[r.machine], _line(r, longest))]
        note = _note(row) if sends else ""
        values = (t, row.number, note, told, *cells, *[None] * (4 - len(cells)))
        for name, value in zip(_COLUMNS, values, strict=True):
            filled[name].append(value)
    return filled


def _start(rows: Sequence[Row], found: Flow) -> float:
    """Return the UNIX time from which the rows count their seconds."""
    for row in rows:
        if row.records:
            return min(record.t for record in row.records) - row.t
    return found.origin


def _kept(rows: Sequence[Row], found: Flow) -> Sequence[Row]:
    places, stride = drawn.kept(found.passages, drawn.MOST_KEPT)
    if stride == 1:
        return rows
    numbers = {found.passages[i].number for i in places}
    return [row for row in rows if row.number is None or row.number in numbers]


def _line(record: Record, longest: int) -> str:
    mark = "stderr: " if record.stream == "stderr" else ""
    return mark + line_of(record, longest)


def _note(row: Row) -> str:
    if row.note or not row.records:
        return row.note
    delay = row.records[-1].t - row.records[0].t
    return f"{duration(delay)} later" if delay >= LATE_S else ""
