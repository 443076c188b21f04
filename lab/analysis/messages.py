"""The messages of a run as columns: what its lines and traces say, without an object for each.

The columns are arrays of the standard library, of which vectors.py makes NumPy's without a copy.
"""

import contextlib
import functools
import math
from array import array
from collections import defaultdict
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    MutableSequence,
    Sequence,
)
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

from pushpull.core.records import HANDED_ON, Message, Reader, Record
from pushpull.runs.lines import Lines, Source
from pushpull.runs.stored_records import StoredRecords

_NOT_TRACED = math.nan


@dataclass(frozen=True, slots=True)
class SteadyClock:
    """A machine's clock that was never set: its CLOCK_MONOTONIC, which is `ahead_s` of the run's.

    If the lab set its wall clock (`wall_is_set`), no time comes from that.
    """

    ahead_s: float
    wall_is_set: bool

    def time(self, t: float, m: float) -> float:
        """Return the time of a trace that gives `t` and, unless it is NaN, `m`.

        NaN says that only the time of its capture is known.
        """
        if m == m:
            return m - self.ahead_s
        return math.nan if self.wall_is_set else t


ClockOf = Callable[[str], SteadyClock | None]


class Found(NamedTuple):
    """What lines of one chunk say of messages, all of one `kind`, in their order.

    Attributes:
        numbers: the messages'.
        ns: the numbers of the lines in their stream.
        ts: UNIX times in seconds, of traces; None where it is that of the capture.
        ms: the machine's CLOCK_MONOTONIC, of traces that have it, else NaN.
    """

    kind: str
    numbers: Sequence[int]
    ns: Sequence[int]
    ts: Sequence[float] | None = None
    ms: Sequence[float] = ()


class Messages(Sequence[Message]):
    """Messages of one kind, in the order of their lines; a look at one makes an object of it.

    Attributes:
        numbers, ns: columns, see `Found`; of 4 bytes each where that is enough.
        ts: UNIX times in seconds.
        ms: as in `Found`; empty if no line gives it, or when `ts` was corrected by it.
        places: which machine and process said so, as a number; `named` has the names.
    """

    def __init__(
        self, kind: str, named: list[tuple[str, str]], clock_of: ClockOf = lambda _: None
    ) -> None:
        self.kind = kind
        self.named = named
        self._clock_of = functools.cache(clock_of)
        self.numbers: MutableSequence[int] = array("i")
        self.ns: MutableSequence[int] = array("i")
        self.ts = array("d")
        self.ms = array("d")
        self.places = array("H")
        self._line_sources: list[Source] = []  # if a reader of the user's own said otherwise
        self._line_places = array("H")
        self._line_ns: MutableSequence[int] = array("i")

    def machines(self) -> Iterator[str]:
        """Give the machine of each."""
        names = [machine for machine, _ in self.named]
        return map(names.__getitem__, self.places)

    def speakers(self) -> set[tuple[str, str]]:
        """Return the machines and processes that said so."""
        from pushpull.analysis import vectors

        counts = vectors.counts(vectors.column(self.places), len(self.named))
        return {named for named, count in zip(self.named, counts, strict=True) if count}

    def lines(self) -> tuple[Sequence[Source], Sequence[int], Sequence[int]]:
        """Return where the lines are: streams, which one it is for each, and the line's number."""
        if self._line_sources:
            return self._line_sources, self._line_places, self._line_ns
        stream = "stdout" if self.kind in ("sent", "received") else "stderr"
        return [(*life, stream) for life in self.named], self.places, self.ns

    def line_lives(self) -> set[tuple[str, str]]:
        """Return the machines and processes that have lines of them on stdout."""
        sources, places, _ = self.lines()
        used = {sources[place] for place in set(places)}
        return {(machine, process) for machine, process, stream in used if stream == "stdout"}

    def add(self, found: Found, place: int) -> None:
        """Add what was found in lines; times that it doesn't give are to be added afterwards."""
        count = len(found.numbers)
        clock = self._clock_of(self.named[place][0])
        if found.ts and clock is not None and (found.ms or clock.wall_is_set):
            ms = found.ms or array("d", [_NOT_TRACED]) * count
            ts = [clock.time(t, m) for t, m in zip(found.ts, ms, strict=True)]
            found = found._replace(ts=ts, ms=())
        self.numbers = _joined(self.numbers, found.numbers)
        self.ns = _joined(self.ns, found.ns)
        self.ts.extend(found.ts or ())
        if found.ms or self.ms:
            self.ms.extend(array("d", [_NOT_TRACED]) * (len(self.places) - len(self.ms)))
            self.ms.extend(found.ms or array("d", [_NOT_TRACED]) * count)
        self.places.extend(array("H", [place]) * count)

    def is_on_set_clock(self) -> bool:
        """Return whether the last one comes from a machine whose wall clock the lab set."""
        clock = self._clock_of(self.named[self.places[-1]][0])
        return clock is not None and clock.wall_is_set

    def add_one(self, message: Message, place: int, record: Record) -> None:
        """Add what a reader of the user's own says of a line."""
        m = _NOT_TRACED if message.m is None else message.m
        self.add(Found(message.kind, (message.number,), (message.n,), (message.t,), (m,)), place)
        if math.isnan(self.ts[-1]):
            self.ts[-1] = record.t
        source = record.machine, record.process, record.stream
        if source not in self._line_sources:
            self._line_sources.append(source)
        self._line_places.append(self._line_sources.index(source))
        self._line_ns = _joined(self._line_ns, (record.n,))

    def at(self, rows: Any) -> "Messages":
        """Return some of them, by their rows."""
        some = Messages(self.kind, self.named, self._clock_of)
        some.numbers, some.ns = _sorted(self.numbers, rows), _sorted(self.ns, rows)
        some.ts, some.places = _sorted(self.ts, rows), _sorted(self.places, rows)
        some.ms = _sorted(self.ms, rows) if self.ms else self.ms
        if self._line_sources:
            some._line_sources = self._line_sources
            some._line_places = _sorted(self._line_places, rows)
            some._line_ns = _sorted(self._line_ns, rows)
        return some

    def sort(self, order: Any) -> None:
        """Put the messages into an order: the first is the one that is now at `order[0]`."""
        self.numbers, self.ns = _sorted(self.numbers, order), _sorted(self.ns, order)
        self.ts, self.places = _sorted(self.ts, order), _sorted(self.places, order)
        self.ms = _sorted(self.ms, order) if self.ms else self.ms

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Message]:
        return map(self._message, range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Message: ...
    @overload
    def __getitem__(self, at: slice) -> list[Message]: ...
    def __getitem__(self, at: int | slice) -> Message | list[Message]:
        if isinstance(at, slice):
            return list(map(self._message, range(len(self))[at]))
        return self._message(range(len(self))[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def _message(self, k: int) -> Message:
        machine, process = self.named[self.places[k]]
        m = self.ms[k] if self.ms else _NOT_TRACED
        return Message(
            kind=self.kind,
            number=self.numbers[k],
            machine=machine,
            process=process,
            n=self.ns[k],
            t=self.ts[k],
            m=None if math.isnan(m) else m,
        )


class Columns:
    """The messages of a run by their kinds.

    Attributes:
        programs: those that hand messages on may be among them, in the order in which the reader
            names them.
    """

    def __init__(
        self,
        records: Sequence[Record],
        reads: Reader,
        clock_of: ClockOf = lambda _: None,
        killed: Collection[tuple[str, str]] = (),
    ) -> None:
        """Read the lines of a run; `clock_of` corrects the times of traces.

        A last line without its end of a process that was `killed` says nothing of a message: half a
        number is another number.
        """
        self._killed = killed
        self.programs: Sequence[str] = getattr(reads, "programs", ())
        self._clock_of = clock_of
        self._named: list[tuple[str, str]] = []
        self._places: dict[tuple[str, str], int] = {}
        self._of_kind: dict[str, Messages] = {}
        scan = getattr(reads, "scan", None)
        if scan is None or not isinstance(records, StoredRecords):
            for record in records:
                if (message := reads(record)) is not None:
                    place = self._place(message.machine, message.process)
                    for kind in kinds_of(message.kind):
                        self.of(kind).add_one(message, place, record)
        else:
            self._scan(records, scan, reads)

    def of(self, kind: str) -> Messages:
        """Return those of a kind."""
        if kind not in self._of_kind:
            self._of_kind[kind] = Messages(kind, self._named, self._clock_of)
        return self._of_kind[kind]

    def part(self, rows: Mapping[str, Any]) -> "Columns":
        """Return some of them, by the rows of each kind."""
        some = Columns((), lambda _: None, self._clock_of)
        some._of_kind = {kind: self.of(kind).at(of_kind) for kind, of_kind in rows.items()}
        return some

    def kinds(self) -> Iterable[Messages]:
        """Return all that there are."""
        return self._of_kind.values()

    def _scan(
        self,
        records: StoredRecords,
        scan: Callable[[Lines], Sequence[Found] | None],
        reads: Reader,
    ) -> None:
        """Read stream by stream, in blocks of many chunks; then sort by time."""
        from pushpull.analysis import vectors

        chunks: defaultdict[str, list[Any]] = defaultdict(list)  # in which one each message is
        for stream in records.streams():
            before = {kind: len(messages) for kind, messages in self._of_kind.items()}
            for lines in stream.blocks():
                scanned = scan(lines)
                found: Iterable[Found] = _one_by_one(lines, reads) if scanned is None else scanned
                if (lines.machine, lines.process) in self._killed and _is_unfinished(lines):
                    found = _without_line(found, lines.n + len(lines) - 1)
                for one in found:
                    for kind in kinds_of(one.kind) if len(one.numbers) else ():
                        self.of(kind).add(one, self._place(lines.machine, lines.process))
            for kind, messages in self._of_kind.items():
                if len(messages) > (start := before.get(kind, 0)):
                    ns = vectors.column(messages.ns)[start:]
                    of_stream = vectors.chunks_of_lines(ns, stream.firsts)
                    chunks[kind].append(vectors.column(stream.ranks)[of_stream])
                    captured = vectors.floats(stream.times)[of_stream]
                    if len(messages.ts) < len(messages):
                        messages.ts.frombytes(captured.tobytes())
                    elif messages.is_on_set_clock():
                        vectors.fill(messages.ts, start, captured)
                    del ns  # or the column could not grow
        for kind, found_in in chunks.items():
            if len(found_in) > 1:  # of one stream they are in order
                self._of_kind[kind].sort(vectors.joined_order(found_in))

    def _place(self, machine: str, process: str) -> int:
        key = machine, process
        if key not in self._places:
            self._places[key] = len(self._named)
            self._named.append(key)
        return self._places[key]


def steady(clocks: Mapping[str, Mapping[str, Any]], machine: str) -> SteadyClock | None:
    """Return the clock of a machine that was never set, if there is one."""
    clock = clocks.get(machine, {})
    ahead_s, offset_s = clock.get("monotonic_ahead_s"), clock.get("offset_s", 0.0)
    if ahead_s is None:
        return None
    return SteadyClock(ahead_s - offset_s, clock.get("wall_ahead_s") is not None)


def _one_by_one(lines: Lines, reads: Reader) -> Iterator[Found]:
    for record in lines:
        if (message := reads(record)) is not None:
            m = _NOT_TRACED if message.m is None else message.m
            t = None if record.stream == "stdout" else (message.t,)
            yield Found(message.kind, (message.number,), (message.n,), t, (m,) if t else ())


def _is_unfinished(lines: Lines) -> bool:
    """Return whether the last of these lines has no end."""
    return lines.piece.data is not None and not lines.piece.data.endswith(b"\n")


def _without_line(found: Iterable[Found], n: int) -> Iterator[Found]:
    """Give what other lines say than that with number `n`, which is the last."""
    for one in found:
        if len(one.ns) and one.ns[-1] == n:
            one = Found(
                one.kind, one.numbers[:-1], one.ns[:-1], one.ts and one.ts[:-1], one.ms[:-1]
            )
        yield one


def kinds_of(kind: str) -> Sequence[str]:
    """Return the kinds as which a line's message counts."""
    return ("received", "sent") if kind == HANDED_ON else (kind,)


def _joined(column: MutableSequence[int], more: Sequence[int]) -> MutableSequence[int]:
    """Return a column with more numbers: the same one, or a wider one if they need that."""
    added = _column(more)
    if not (isinstance(column, array) and isinstance(added, array)):
        return [*column, *added]  # a user's own reader may count to anything
    if added.typecode != column.typecode:
        column, added = array("q", column), array("q", added)
    column.extend(added)
    return column


def _column(numbers: Sequence[int]) -> Sequence[int]:
    if isinstance(numbers, array):
        return numbers
    for size in "iq":
        with contextlib.suppress(OverflowError):
            return array(size, numbers)
    return numbers


def _sorted(column: Any, order: Any) -> Any:
    from pushpull.analysis import vectors

    if isinstance(column, list):
        return [column[row] for row in order]
    return array(column.typecode, vectors.column(column)[order].tobytes())
