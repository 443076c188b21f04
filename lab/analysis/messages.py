"""The messages of a run as columns: what its lines and traces say, without an object for each.

The columns are arrays of the standard library, 34 bytes a message. Other libraries were measured
with 1,000,000 messages: columns filled from the lines, then the numbers that occur twice, are
missing, or were never sent, in CPU seconds with the import. Arrays, dict and Counter take 1.3 s,
Polars 1.0, DuckDB 0.8, NumPy 3 (`unique`). But every run would pay for the import, even one of 20
messages: 0.1 s and 16 to 39 MB, a tenth of its whole time.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from operator import itemgetter
from typing import NamedTuple, overload

from lab.core.records import Message, Reader, Record
from lab.runs.lines import Lines
from lab.runs.stored_records import StoredRecords

_NOT_TRACED = math.nan


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
        numbers, ns, ts, ms: columns, see `Found`.
        places: which machine and process said so, as a number; `named` has the names.
    """

    def __init__(self, kind: str, named: list[tuple[str, str]]) -> None:
        self.kind = kind
        self.named = named
        self.numbers: MutableSequence[int] = array("q")
        self.ns = array("q")
        self.ts = array("d")
        self.ms = array("d")
        self.places = array("L")
        self._traced = False

    def machines(self) -> Iterator[str]:
        """Give the machine of each."""
        names = [machine for machine, _ in self.named]
        return map(names.__getitem__, self.places)

    def by_life(self) -> dict[tuple[str, str], list[tuple[int, int]]]:
        """Return what each machine's process said, in the order of its output: line and message."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.named]
        for place, n, number in zip(self.places, self.ns, self.numbers, strict=True):
            found[place].append((n, number))
        return {
            life: sorted(said, key=itemgetter(0))
            for life, said in zip(self.named, found, strict=True)
            if said
        }

    def speakers(self) -> set[tuple[str, str]]:
        """Return the machines and processes that said so."""
        return {self.named[place] for place in set(self.places)}

    def add(self, found: Found, place: int, t: float) -> None:
        """Add what was found in lines that were captured at one time, in UNIX seconds."""
        count = len(found.numbers)
        self._traced = self._traced or bool(found.ms)
        try:
            self.numbers.extend(found.numbers)
        except OverflowError:  # a user's own reader may count to anything
            self.numbers = [*self.numbers, *found.numbers]
        self.ns.extend(found.ns)
        self.ts.extend(found.ts if found.ts is not None else array("d", [t]) * count)
        self.ms.extend(found.ms or array("d", [_NOT_TRACED]) * count)
        self.places.extend(array("L", [place]) * count)

    def correct(self, time_of: Callable[[str], Callable[[float], float] | None]) -> None:
        """Put the time of a clock that was never set in the place of a trace's.

        `time_of` returns for a machine how its CLOCK_MONOTONIC becomes a time of the run.
        """
        times = [time_of(machine) for machine, _ in self.named]
        if self._traced and any(times):
            for k, (m, place) in enumerate(zip(self.ms, self.places, strict=True)):
                if (time := times[place]) is not None and m == m:  # not NaN
                    self.ts[k] = time(m)

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
        m = self.ms[k]
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
    """The messages of a run by their kinds."""

    def __init__(self, records: Sequence[Record], reads: Reader) -> None:
        self._named: list[tuple[str, str]] = []
        self._places: dict[tuple[str, str], int] = {}
        self._of_kind: dict[str, Messages] = {}
        scan = getattr(reads, "scan", None)
        if scan is None or not isinstance(records, StoredRecords):
            self._read(records, reads)
            return
        for lines in records.batches():
            found = scan(lines)
            if found is None:
                self._read(lines, reads)
            else:
                self._add(lines, found)

    def of(self, kind: str) -> Messages:
        """Return those of a kind."""
        return self._of_kind.setdefault(kind, Messages(kind, self._named))

    def kinds(self) -> Iterable[Messages]:
        """Return all that there are."""
        return self._of_kind.values()

    def _add(self, lines: Lines, found: Iterable[Found]) -> None:
        for one in found:
            if one.numbers:
                place = self._place(lines.machine, lines.process)
                self.of(one.kind).add(one, place, lines.t)

    def _read(self, records: Iterable[Record], reads: Reader) -> None:
        for record in records:
            if (message := reads(record)) is not None:
                m = _NOT_TRACED if message.m is None else message.m
                found = Found(message.kind, (message.number,), (message.n,), (message.t,), (m,))
                self.of(message.kind).add(found, self._place(message.machine, message.process), 0.0)

    def _place(self, machine: str, process: str) -> int:
        key = machine, process
        if key not in self._places:
            self._places[key] = len(self._named)
            self._named.append(key)
        return self._places[key]
