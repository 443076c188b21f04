"""The machines' logs side by side, as the page shows them: like a terminal, but harmless."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.deliveries import LATE_S, Deliveries
from pushpull.analysis.event_text import EventDescriber
from pushpull.analysis.history import Run
from pushpull.analysis.messages import Messages
from pushpull.analysis.timeline import Timeline
from pushpull.analysis.vectors import Flags, Ints
from pushpull.core.records import Record
from pushpull.core.text import duration, harmless, line_of
from pushpull.core.trace import trace_of
from pushpull.report import chart_data
from pushpull.runs.chunk_traces import traces_and_said
from pushpull.runs.lines import LastLines, Lines, Source
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import StoredRecords, shown_at, sources_of

_LONGEST_LINE = 2_000  # characters, if there are few lines
_SHORTEST = 40
_ROOM = 5_000_000  # characters of all lines together
EACH_END = 1_000  # of each log, the page shows this many first and last lines without a message
MOST_MESSAGES = (
    100_000  # of more, it shows the lines of one in 2, 4, 8 ..., and all that went wrong
)


class _Row(NamedTuple):
    """What the page shows in a row.

    A row has its second, the number of the message that it is about (if any), a note, an event
    (then it has no line), and one or two lines, each with the lane of its machine.
    """

    t: float
    number: int | None = None
    note: str = ""
    event: str = ""
    lane: int | None = None
    text: str | None = None
    lane2: int | None = None
    text2: str | None = None


_SENT, _PRINTED, _EVENT, _SAID, _GAP = range(5)  # the order of rows of one time
_Key = tuple[float, int, int, int]  # t, one of these, the place of the stream, the line's number


def columns(stored: StoredRun, run: Run, found: Timeline) -> dict[str, Any]:
    """Return the rows of the logs as columns, ordered by time, and whether lines are left out.

    Arguments:
        stored: the run.
        run: the same run as judges see it.
        found: its timeline; of very many messages, only a part is shown.
    """
    sources = sorted(sources_of(stored.records))
    logs = {source: _Ends() for source in sources}
    _add_others(stored.records, run, logs)
    shown, _ = chart_data.kept(found.deliveries.odd, MOST_MESSAGES)
    kept = found.deliveries.at(shown)
    lines = sum(len(log) for log in logs.values()) + len(kept) + len(stored.events)
    longest = min(_LONGEST_LINE, max(_SHORTEST, _ROOM // (lines + 1)))
    others = [*_event_rows(stored)]
    for k, (source, log) in enumerate(logs.items()):
        others += _other_rows(source, k, log, found, longest)
    lane_of = np.array([_lane(found, source) for source in sources] or [0])
    messages, keys = _message_columns(stored.records, run, kept, lane_of, sources, longest)
    keys = list(map(np.append, keys, _transposed(others)))
    order = vectors.plain(np.lexsort(keys[::-1]))
    filled: dict[str, Any] = {"t": np.round(keys[0][order] - found.origin, 4).tolist()}
    for k, name in enumerate(_Row._fields[1:], 1):
        values = [*messages.pop(name), *(row[k] for _, row in others)]
        filled[name] = [values[place] for place in order]
    return filled | {"bounded": any(log.left_out for log in logs.values())}


def _transposed(rows: Sequence[tuple[_Key, _Row]]) -> Sequence[Ints]:
    return [np.array([key[k] for key, _ in rows]) for k in range(4)]


# --- Lines about messages. ------------------------------------------------------------------------


def _message_columns(
    records: Sequence[Record],
    run: Run,
    kept: Deliveries,
    lane_of: Ints,
    sources: Sequence[Source],
    longest: int,
) -> tuple[dict[str, list[Any]], list[Ints]]:
    """Return a row for each message, as columns, and its key: the sender's line comes first.

    `lane_of` has the lane of each of the `sources`.
    """
    sent = _Side(records, run.sent, kept.sends, sources, longest)
    received = _Side(records, run.received, kept.receipts, sources, longest)
    departed, both = sent.there, sent.there & received.there
    notes = [""] * len(kept)
    if run.sent:
        late = both & (received.ts - sent.ts >= LATE_S)
        for k in vectors.plain(np.flatnonzero(late)):
            notes[k] = f"{duration(received.ts[k] - sent.ts[k])} later"
        for note, flags in (
            ("nobody", departed & ~received.there),
            ("again", ~departed & kept.fate_is("again")),
            ("never sent", ~departed & ~kept.fate_is("again")),
        ):
            for k in vectors.plain(np.flatnonzero(flags)):
                notes[k] = note
    first_place = np.where(departed, sent.places, received.places)
    lanes2 = vectors.plain(lane_of[received.places])
    filled: dict[str, list[Any]] = {
        "number": vectors.plain(kept.numbers),
        "note": notes,
        "event": [""] * len(kept),
        "lane": vectors.plain(lane_of[first_place]),
        "text": [one or other for one, other in zip(sent.texts, received.texts, strict=True)],
        "lane2": [lane if two else None for lane, two in zip(lanes2, both, strict=True)],
        "text2": [text if two else None for text, two in zip(received.texts, both, strict=True)],
    }
    alone = np.where(departed, 0, first_place), np.where(departed, 0, received.ns)
    first_t = np.fmin(sent.ts, received.ts)
    return filled, [first_t, np.where(departed, _SENT, _PRINTED), *alone]


class _Side:
    """The lines of some messages where they were sent, or where they were received.

    Attributes:
        there: whether a message has such a line; if not, the others mean nothing.
        places, ns: the line's stream, as a place in all of them, and its number there.
        ts, texts: its time and what is shown of it.
    """

    def __init__(
        self,
        records: Sequence[Record],
        messages: Messages,
        rows: Ints,
        sources: Sequence[Source],
        longest: int,
    ) -> None:
        named, of, ns = messages.lines()
        self.there = np.asarray(rows >= 0, np.bool_)
        self.places, self.ns = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
        self.ts = np.full(len(rows), np.nan)
        self.texts: list[str] = [""] * len(rows)
        if not self.there.any():
            return
        known = [sources.index(source) if source in sources else 0 for source in named]
        at = rows[self.there]
        self.places[self.there] = vectors.column(known)[vectors.column(of)[at]]
        self.ns[self.there] = vectors.column(ns)[at]
        for place, source in enumerate(sources):
            mine = np.flatnonzero(self.there & (self.places == place))
            mark = _mark(source[2])
            once, which = np.unique(self.ns[mine], return_inverse=True)  # one may be there twice
            ts: list[float] = []
            texts: list[str] = []
            for t, shown in shown_at(records, source, vectors.plain(once), longest):
                ts += [t] * len(shown)
                texts += shown
            self.ts[mine] = np.array(ts)[which]
            for row, text in zip(vectors.plain(mine), vectors.plain(which), strict=True):
                self.texts[row] = mark + texts[text]


# --- Other lines. ---------------------------------------------------------------------------------


class _Ends:
    """The first and last lines of a log that are not about messages, and what is left out."""

    def __init__(self) -> None:
        self.first: list[Record] = []
        self.gap_t = 0.0
        self._last = LastLines(EACH_END)

    def add(self, lines: Sequence[Record]) -> None:
        if (room := EACH_END - len(self.first)) > 0:
            self.first += lines[:room]
            rest: Sequence[Record] = lines[room:] if len(lines) > room else ()
        else:
            rest = lines
        if not rest:
            return
        if not self._last.count:
            self.gap_t = rest[0].t
        self._last.add(rest)

    def last(self) -> Iterator[Record]:
        for lines in self._last.last():
            yield from lines

    @property
    def left_out(self) -> int:
        return max(0, self._last.count - EACH_END)

    def __len__(self) -> int:
        return len(self.first) + min(EACH_END, self._last.count)


def _add_others(records: Sequence[Record], run: Run, logs: Mapping[Source, _Ends]) -> None:
    """Add the lines on stdout that are about no message, and on stderr those that trace nothing."""
    spoken = _spoken(run)
    if not isinstance(records, StoredRecords):
        of_messages = {source: set(vectors.plain(ns)) for source, ns in spoken.items()}
        for record in records:
            source = record.machine, record.process, record.stream
            if record.n not in of_messages.get(source, ()) and trace_of(record) is None:
                logs[source].add((record,))
        return
    for stream in records.streams():
        is_spoken = np.zeros(stream.count, np.bool_)
        is_spoken[spoken.get(stream.source, [])] = True
        for lines in stream.batches():
            logs[stream.source].add(_others(lines, is_spoken[lines.n : lines.n + len(lines)]))


def _others(lines: Lines, is_spoken: Flags) -> Sequence[Record]:
    count = int(is_spoken.sum())
    if count == len(lines):
        return ()
    if lines.stream == "stderr":
        _, said = traces_and_said(lines)
        return [r for r in said if not is_spoken[r.n - lines.n]] if count else said
    return list(lines.at(vectors.plain(np.flatnonzero(~is_spoken) + lines.n))) if count else lines


def _spoken(run: Run) -> dict[Source, Ints]:
    """Return for each stream the numbers of its lines that are about messages."""
    found: defaultdict[Source, list[Ints]] = defaultdict(list)
    for messages in run.messages():
        sources, places, ns = messages.lines()
        for place, source in enumerate(sources):
            found[source].append(vectors.column(ns)[vectors.column(places) == place])
    return {source: np.concatenate(parts) for source, parts in found.items()}


def _other_rows(
    source: Source, place: int, log: _Ends, found: Timeline, longest: int
) -> Iterator[tuple[_Key, _Row]]:
    machine, process, stream = source
    lane = _lane(found, source)
    kind = _SAID if stream == "stderr" else _PRINTED
    for record in (*log.first, *log.last()):
        row = _Row(t=record.t, lane=lane, text=_line(record, longest))
        yield (record.t, kind, place, record.n), row
    if log.left_out:
        suffix = "err" if stream == "stderr" else "log"
        lines = "1 line" if log.left_out == 1 else f"{log.left_out:,} lines"
        text = f"{lines} left out: see {harmless(f'{machine}/{process}', 200)}.{suffix}"
        yield (log.gap_t, _GAP, place, 0), _Row(t=log.gap_t, event=text)


def _lane(found: Timeline, source: Source) -> int:
    machine, process, _ = source
    return found.machines.index(found.lanes.of(machine, process))


def _event_rows(stored: StoredRun) -> Iterator[tuple[_Key, _Row]]:
    describer = EventDescriber()
    for k, event in enumerate(sorted(stored.events, key=lambda event: event.t)):
        if text := describer.describe(event):
            yield (event.t, _EVENT, 0, k), _Row(t=event.t, event=text)


def _line(record: Record, longest: int) -> str:
    return _mark(record.stream) + line_of(record, longest)


def _mark(stream: str) -> str:
    return "stderr: " if stream == "stderr" else ""
