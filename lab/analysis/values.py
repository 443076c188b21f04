"""The values that lines and traces carry: latencies, sizes, counters of a program's own.

They are kept as columns, 34 bytes each, and read only when somebody asks for them.
"""

import json
import math
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.line_readers import NO_MESSAGE, Reading
from pushpull.analysis.messages import steady
from pushpull.analysis.vectors import Floats, Ints
from pushpull.core.records import Reader, Record
from pushpull.core.trace import VALUED, Trace, parse_line, trace_of
from pushpull.runs.lines import Lines
from pushpull.runs.stored_records import StoredRecords

_MOST_NAMES = 1_000  # of quantities: a machine may invent a new one for each value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """The values of one quantity in the order of time; `numpy.asarray` returns the numbers.

    Attributes:
        name: the quantity, as the program calls it.
        numbers: the values. One that is not a number is NaN.
        times: UNIX seconds on the harness's clock: when a trace says, or when a line was captured.
        messages: the number of the message that each is about; -1 for none.
        sources: machines and processes; `places` has for each value which of them it comes from.
    """

    name: str
    numbers: Floats
    times: Floats
    messages: Ints
    sources: Sequence[tuple[str, str]]
    places: Ints

    def of(self, machine: str) -> "Values":
        """Return those that come from one machine."""
        ours = [place for place, (name, _) in enumerate(self.sources) if name == machine]
        return self.at(vectors.places_of(np.isin(self.places, ours)))

    @property
    def machines(self) -> Sequence[str]:
        """The machines that they come from, in the order of their names."""
        return sorted({self.sources[place][0] for place in np.unique(self.places)})

    def at(self, rows: Ints) -> "Values":
        """Return those in some rows."""
        return Values(
            name=self.name,
            numbers=self.numbers[rows],
            times=self.times[rows],
            messages=self.messages[rows],
            sources=self.sources,
            places=self.places[rows],
        )

    def __len__(self) -> int:
        return len(self.numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.numbers, dtype, copy=copy is not False)


class _Column:
    """The values of one quantity in the order in which they are read."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self.times = array("d")
        self.messages = array("q")
        self.places = array("H")

    def add(self, value: float, t: float, message: int, place: int) -> None:
        self.numbers.append(value)
        self.times.append(t)
        self.messages.append(message)
        self.places.append(place)

    def in_order(self, name: str, sources: Sequence[tuple[str, str]]) -> Values:
        found = Values(
            name=name,
            numbers=vectors.floats(self.numbers),
            times=vectors.floats(self.times),
            messages=vectors.column(self.messages),
            sources=sources,
            places=vectors.column(self.places),
        )
        return found.at(vectors.order_of(found.times))


def none(name: str) -> Values:
    """Return no values."""
    return _Column().in_order(name, [])


def read(
    records: Sequence[Record], reads: Reader, clocks: Mapping[str, Mapping[str, Any]]
) -> dict[str, Values]:
    """Return the values of a run by their names, in the order of these: of 1,000 names at most.

    Arguments:
        records: its lines.
        reads: the reader of its lines; one that `lines` made may find values in them.
        clocks: what is known of each machine's clock.
    """
    columns: defaultdict[str, _Column] = defaultdict(_Column)
    sources: list[tuple[str, str]] = []
    for (machine, process, stream), chunks in _by_stream(records, reads):
        place = len(sources)
        sources.append((machine, process))
        read_chunk = _TraceReader(clocks, machine) if stream == "stderr" else _line_reader(reads)
        for t, reading in chain.from_iterable(map(read_chunk, chunks)):
            for name, value in reading.values.items():
                if name in columns or len(columns) < _MOST_NAMES:
                    columns[name].add(value, t, reading.number, place)
    return {name: columns[name].in_order(name, sources) for name in sorted(columns)}


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


_Timed = tuple[float, Reading]
_Source = tuple[str, str, str]


class _TraceReader:
    """Reads the traces of a machine, whose times become those of the harness's clock."""

    def __init__(self, clocks: Mapping[str, Mapping[str, Any]], machine: str) -> None:
        self._steady = steady(clocks, machine)
        self._ahead = float(clocks.get(machine, {}).get("offset_s", 0.0))

    def __call__(self, lines: Sequence[Record]) -> Iterator[_Timed]:
        if not isinstance(lines, Lines) or lines.piece.data is None:
            for record in lines:
                yield from self._read(trace_of(record), record.t)
        elif b'"values"' in lines.piece.data:
            captured = lines.t
            plain = []
            for row in VALUED.findall(lines.piece.data):
                if row[-1]:
                    yield from self._read(parse_line(row[-1]), captured)
                elif row[3] or row[2] == b"values":  # a message has a number
                    plain.append(row)
            found = json.loads(b"[%b]" % b",".join(row[4] for row in plain))
            for (t, m, _, number, *_), values in zip(plain, found, strict=True):
                about = int(number.strip(b'"') or NO_MESSAGE)
                yield self._time(float(t), float(m or "nan"), captured), Reading(values, about)

    def _read(self, trace: Trace | None, captured: float) -> Iterator[_Timed]:
        values = None if trace is None else trace.details.get("values")
        if trace is None or not isinstance(values, dict):
            return
        found = {name: _number(value) for name, value in values.items()}
        about = NO_MESSAGE if trace.number is None else trace.number
        t, m = trace.at
        yield self._time(t, math.nan if m is None else m, captured), Reading(found, about)

    def _time(self, t: float, m: float, captured: float) -> float:
        """Return a trace's time; that of its capture where the lab set the machine's clock."""
        theirs = t if self._steady is None else self._steady.time(t, m)
        return captured if math.isnan(theirs) else theirs - self._ahead


def _line_reader(reads: Reader) -> Callable[[Sequence[Record]], Iterator[_Timed]]:
    values: Callable[[Record], Reading] = reads.values  # type: ignore[attr-defined]
    return lambda lines: ((record.t, values(record)) for record in lines)


def _by_stream(
    records: Sequence[Record], reads: Reader
) -> Iterator[tuple[_Source, Iterable[Sequence[Record]]]]:
    """Give the lines of each stream that may have values, in chunks."""

    # A reader that `lines` made knows; it may be wrapped.
    may_have: Callable[[str], bool] = getattr(reads, "has_values", lambda _: False)

    def has_values(source: _Source) -> bool:
        _, process, stream = source
        return stream == "stderr" or may_have(process)

    if isinstance(records, StoredRecords):
        for stream in filter(lambda one: has_values(one.source), records.streams()):
            # A line's time is that of its chunk; a trace has its own.
            yield (
                stream.source,
                stream.blocks() if stream.source[2] == "stderr" else stream.batches(),
            )
        return

    def source_of(record: Record) -> _Source:
        return record.machine, record.process, record.stream

    for source, lines in groupby(sorted(records, key=source_of), source_of):
        if has_values(source):
            yield source, [list(lines)]
