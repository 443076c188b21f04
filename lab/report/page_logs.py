"""The machines' logs side by side, as the page shows them: like a terminal, but harmless."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.analysis.event_text import EventDescriber
from lab.analysis.history import Run
from lab.analysis.side_by_side import Row
from lab.analysis.timeline import LATE_S, Timeline
from lab.core.records import Reader, Record
from lab.core.text import duration, harmless, line_of
from lab.core.trace import trace_of
from lab.report import chart_data
from lab.runs.chunk_traces import traces_and_said
from lab.runs.lines import LastLines, Source
from lab.runs.stored_records import StoredRecords

_LONGEST_LINE = 2_000  # characters, if there are few lines
_SHORTEST = 40
_ROOM = 5_000_000  # characters of all lines together
EACH_END = 1_000  # of each log, the page shows this many first and last lines without a message

# A row has its second, the number of the message that it is about (if any), a note, an event (then
# it has no line), and one or two lines, each with the lane of its machine.
_COLUMNS = ("t", "number", "note", "event", "lane", "text", "lane2", "text2")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesToShow:
    """The lines of a run, without the middles of long logs that are not about messages.

    `printed` is from stdout, `said` from stderr, except for traces; `left_out` is the number of
    lines that each stream lacks.
    """

    printed: Sequence[Record]
    said: Sequence[Record]
    left_out: Mapping[Source, int]


def lines_to_show(records: Sequence[Record], run: Run, reader: Reader) -> LinesToShow:
    """Return the lines of a run that its page can show."""
    if not isinstance(records, StoredRecords):
        printed = [record for record in records if record.stream == "stdout"]
        said = [
            record
            for record in records
            if record.stream == "stderr" and trace_of(record) is None and reader(record) is None
        ]
        return LinesToShow(printed=printed, said=said, left_out={})
    return _lines_of_chunks(records, run, reader)


def _lines_of_chunks(records: StoredRecords, run: Run, reader: Reader) -> LinesToShow:
    speaking = {*run.sent.speakers(), *run.received.speakers()}
    printed: list[Record] = []
    ends: defaultdict[Source, _Ends] = defaultdict(_Ends)
    for lines in records.batches():
        if lines.stream == "stdout" and (lines.machine, lines.process) in speaking:
            printed += lines
            continue
        shown: Sequence[Record] = lines
        if lines.stream == "stderr":
            _, shown = traces_and_said(lines)
            if not hasattr(reader, "scan"):  # a user's reader may find messages in any line
                shown = [record for record in shown if reader(record) is None]
        ends[lines.machine, lines.process, lines.stream].add(shown)
    said: list[Record] = []
    for (_, _, stream), found in ends.items():
        kept = printed if stream == "stdout" else said
        kept += found.all()
    for kept in (printed, said):
        kept.sort(key=lambda record: record.t)
    left_out = {source: n for source, found in ends.items() if (n := found.left_out)}
    return LinesToShow(printed=printed, said=said, left_out=left_out)


class _Ends:
    """The first and last lines of a log: one more of the first ones than the page shows."""

    def __init__(self) -> None:
        self._first: list[Record] = []
        self._last = LastLines(EACH_END)

    def add(self, lines: Sequence[Record]) -> None:
        first = lines[: EACH_END + 1 - len(self._first)]
        self._first += first
        if rest := lines[len(first) :] if first else lines:
            self._last.add(rest)

    def all(self) -> Iterator[Record]:
        yield from self._first
        for lines in self._last.last():
            yield from lines

    @property
    def left_out(self) -> int:
        return max(0, self._last.count - EACH_END)


def columns(rows: Sequence[Row], lines: LinesToShow, found: Timeline) -> dict[str, Any]:
    """Return the rows of the logs as columns, ordered by time, and whether lines are left out.

    Arguments:
        rows: the lines on stdout side by side, and the events.
        lines: the lines that the rows are made of, and the lines on stderr, except for traces.
        found: the run's timeline; of very many messages, only those that the page draws are kept.
    """
    start = _start(rows, found)
    shown = [*_kept(rows, found), *(Row(t=r.t - start, records=(r,)) for r in lines.said)]
    shown, left_out = _ends(shown, lines.left_out)
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


def _ends(rows: Sequence[Row], before: Mapping[Source, int]) -> tuple[list[Row], dict[int, str]]:
    """Return the rows without the middle of very long logs, and a text for each gap.

    A row without records marks a gap; the texts are keyed by the `id` of that row. `before` is how
    many lines of each log have no rows in the first place.
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
        count = len(middle) + before.get((machine, process, stream), 0)
        lines = "1 line" if count == 1 else f"{count:,} lines"
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
