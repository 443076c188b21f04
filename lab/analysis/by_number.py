"""What a run says of each message, by its number; no object is made until one is asked for."""

import functools
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from typing import TypeVar

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.vectors import Flags, Floats, Index, Ints

_V = TypeVar("_V")


class _ByNumber(Mapping[int, _V]):
    """A mapping from the numbers of an index, in the order in which they first occur."""

    def __init__(self, index: Index) -> None:
        self.index = index

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[int]:
        return iter(vectors.plain(self.index.unique[self.index.in_order_of_rows()]))

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.index.place(number) >= 0

    def __getitem__(self, number: int) -> _V:
        if (place := self.index.place(number)) < 0:
            raise KeyError(number)
        return self._at(place)

    def items(self) -> ItemsView[int, _V]:
        return _Items(self)

    def values(self) -> ValuesView[_V]:
        return _Values(self)

    def all(self) -> Iterator[_V]:
        """Give the values in order."""
        return map(self._at, vectors.plain(self.index.in_order_of_rows()))

    def _at(self, place: int) -> _V:
        raise NotImplementedError


class _Items(ItemsView[int, _V]):
    _mapping: _ByNumber[_V]

    def __iter__(self) -> Iterator[tuple[int, _V]]:
        return zip(self._mapping, self._mapping.all(), strict=True)


class _Values(ValuesView[_V]):
    _mapping: _ByNumber[_V]

    def __iter__(self) -> Iterator[_V]:
        return self._mapping.all()


class Takers(_ByNumber[list[str]]):
    """The machines that printed each message, one for each time."""

    def __init__(self, index: Index, machine_of: Ints, machines: Sequence[str]) -> None:
        """Take an index of received numbers, and the machine of each row by its place."""
        super().__init__(index)
        self.machines = machines
        self._machine_of = machine_of

    @property
    def twice(self) -> list[int]:
        """The numbers that came more than once, in rising order."""
        return vectors.plain(self.index.unique[self.index.counts > 1])

    def count_by_machine(self, numbers: Iterable[int]) -> Mapping[str, int]:
        """Return how often each machine printed `numbers`."""
        there, at = self.index.find(vectors.column(numbers))
        rows = self.index.all_rows(at[there])
        counts = vectors.counts(self._machine_of[rows], len(self.machines))
        return dict(zip(self.machines, counts, strict=True))

    def first_of(self, numbers: Sequence[int]) -> Ints:
        """Return the place of the machine that printed each number first; -1 for none."""
        there, at = self.index.find(vectors.column(numbers))
        first = self._machine_of[self.index.first_rows(at)] if len(self.index) else at
        return vectors.where(there, first, -1)

    def came_to(self, machine: str) -> Ints:
        """Return the numbers that a machine printed, in rising order and once."""
        if machine not in self.machines:
            return vectors.column(())
        of = self._machine_of == self.machines.index(machine)
        return self.index.unique[vectors.any_of_each(of, self.index)]

    def taken_by(self, numbers: Iterable[int], machines: Sequence[str]) -> Flags:
        """Return whether one of `machines` printed each number."""
        wanted = vectors.column(numbers)
        came = [vectors.is_in(wanted, self.came_to(machine)) for machine in machines]
        return vectors.any_of(came, len(wanted))

    def _at(self, place: int) -> list[str]:
        return [self.machines[k] for k in self._machine_of[self.index.rows(place)]]


class Times(_ByNumber[float]):
    """A UNIX time in seconds for each message."""

    def __init__(self, index: Index, times: Floats) -> None:
        """Take the numbers, and a time for each of `index.unique`."""
        super().__init__(index)
        self.times = times

    def at(self, numbers: Ints, otherwise: Floats) -> Floats:
        """Return the time of each number; of one that has none, its time in `otherwise`."""
        there, at = self.index.find(numbers)
        found = otherwise.copy()
        found[there] = self.times[at[there]]
        return found

    @functools.cached_property
    def shortest_gap(self) -> float:
        """The least difference of two times; infinite if there are fewer than two."""
        return float(np.diff(np.sort(self.times)).min(initial=np.inf))

    @property
    def usual_gap(self) -> float:
        """The median of the differences of following times, of which there are two or more."""
        return float(np.median(np.diff(np.sort(self.times))))

    def until(self, t: float) -> int:
        """Return how many times are not after a time."""
        return int((self.times <= t).sum())

    def all(self) -> Iterator[float]:
        return iter(self.times[self.index.in_order_of_rows()].tolist())

    def _at(self, place: int) -> float:
        return float(self.times[place])
