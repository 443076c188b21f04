"""Questions about columns of messages, answered by NumPy without an object for each message.

It is imported late: it costs a tenth of a second, which only who judges a run or draws it needs.
"""

import contextlib
import ctypes
import functools
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

# What is freed goes back to the system: else glibc keeps columns of up to 32 MB each.
with contextlib.suppress(OSError, AttributeError):  # not every system has glibc
    ctypes.CDLL(None).mallopt(-3, 1 << 18)  # M_MMAP_THRESHOLD

_DENSE = 4  # of so many numbers at least one is there
_PLACE = np.int32  # a place in a column: two thousand million messages have none in memory

Ints = npt.NDArray[Any]  # whole numbers: of 64 bits or fewer, or objects if some are larger
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def column(values: Iterable[Any]) -> Ints:
    """Return whole numbers as an array, without a copy where they are one already."""
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, array):
        return np.frombuffer(values, values.typecode) if values else np.empty(0, values.typecode)
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step)
    found = list(values)
    try:
        return np.array(found, np.int64)
    except OverflowError:
        return np.array(found, object)


def floats(values: "array[float]") -> Floats:
    """Return times as an array, without a copy."""
    return np.frombuffer(values, np.float64) if values else np.empty(0)


def fill(values: "array[float]", start: int, others: Floats) -> None:
    """Put others in the place of what is NaN from `start` on."""
    there = floats(values)[start:]
    unknown = np.isnan(there)
    there[unknown] = others[unknown]


def reals(values: Sequence[float]) -> Floats:
    """Return real numbers as an array."""
    return np.array(values, np.float64)


def as_array(numbers: Ints) -> "array[int]":
    """Return whole numbers of 64 bits as an array of the standard library, of 32 bits if it can."""
    if not len(numbers) or (numbers.min() >= -(2**31) and numbers.max() < 2**31):
        return array("i", numbers.astype(np.int32).tobytes())
    return array("q", numbers.tobytes())


def upto(size: int) -> Ints:
    """Return the places 0, 1, 2 ..."""
    return np.arange(size, dtype=_PLACE)


def places_of(flags: Flags) -> Ints:
    """Return the places at which a flag is set."""
    return np.flatnonzero(flags).astype(_PLACE)


def order_of(values: Ints) -> Ints:
    """Return the order that sorts values; those that are equal stay in theirs."""
    return np.argsort(values, kind="stable").astype(_PLACE)


def is_rising(numbers: Ints) -> bool:
    """Return whether each number is larger than the one before it."""
    return bool(np.all(numbers[1:] > numbers[:-1]))


class Index:
    """Where each number is in a column.

    Attributes:
        unique: the numbers, in rising order.
        counts: how often each of them is there.
    """

    def __init__(self, numbers: Ints) -> None:
        self._order: Ints | None = None if is_rising(numbers) else order_of(numbers)
        in_order = numbers if self._order is None else numbers[self._order]
        self._starts: Ints | None = None
        self.unique = in_order
        self.counts: Ints = np.broadcast_to(np.int64(1), len(in_order))
        if self._order is not None:
            new = np.ones(len(in_order), np.bool_)
            new[1:] = in_order[1:] != in_order[:-1]
            if not new.all():
                self._starts = places_of(new)
                self.unique = in_order[self._starts]
                self.counts = np.diff(self._starts, append=len(in_order))

    def __len__(self) -> int:
        return len(self.unique)

    def find(self, numbers: Ints) -> tuple[Flags, Ints]:
        """Return whether each number is there, and its place in `unique` (any, if it isn't)."""
        if not len(self.unique):
            return np.zeros(len(numbers), np.bool_), np.zeros(len(numbers), np.int64)
        first, last = self.unique[0], self.unique[-1]
        if int(last) - int(first) < _DENSE * len(self.unique):  # quicker than to search for each
            there = np.asarray((numbers >= first) & (numbers <= last), np.bool_)
            at = _small(np.where(there, numbers - first, 0))
            if int(last) - int(first) + 1 == len(self.unique):  # they have no gap
                return there, at
            places = self._places[at]
            return there & np.asarray(self.unique[places] == numbers, np.bool_), places
        places = np.searchsorted(self.unique, numbers)
        places[places == len(self.unique)] = 0
        return np.asarray(self.unique[places] == numbers, np.bool_), places

    @functools.cached_property
    def _places(self) -> Ints:
        """The place in `unique` of each number from the first to the last; any for what lacks."""
        first = self.unique[0]
        is_there = np.zeros(int(self.unique[-1]) - int(first) + 1, np.bool_)
        is_there[_small(self.unique - first)] = True
        return np.cumsum(is_there, dtype=_PLACE) - _PLACE(1)

    def has(self, numbers: Ints) -> Flags:
        """Return whether each number is there."""
        return self.find(numbers)[0]

    def place(self, number: int) -> int:
        """Return a number's place in `unique`; -1 if it isn't there."""
        # Not by NumPy, which first copies a column of another width to compare it with one number.
        place = bisect_left(self.unique, number)
        return place if place < len(self.unique) and self.unique[place] == number else -1

    def rows(self, place: int) -> Ints:
        """Return the rows of the column that have a number, by its place in `unique`."""
        start = place if self._starts is None else int(self._starts[place])
        rows = np.arange(start, start + int(self.counts[place]))
        return rows if self._order is None else self._order[rows]

    def all_rows(self, places: Ints) -> Ints:
        """Return all rows of some numbers, by their places in `unique`."""
        if self._starts is None:
            return places if self._order is None else self._order[places]
        counts = self.counts[places]
        before = np.cumsum(counts) - counts
        nth = np.arange(int(counts.sum())) - np.repeat(before, counts)
        return self.row_of_nth(np.repeat(places, counts), nth)

    def first_rows(self, places: Ints | None = None) -> Ints:
        """Return the first row of each number, or of those at `places` in `unique`."""
        starts = self._starts if places is None or self._starts is None else self._starts[places]
        if starts is None:
            starts = np.arange(len(self.unique)) if places is None else places
        return starts if self._order is None else self._order[starts]

    def in_order_of_rows(self) -> Ints:
        """Return the places in `unique`, in the order in which their numbers first occur."""
        if self._order is None:
            return np.arange(len(self.unique))
        return np.argsort(self.first_rows(), kind="stable")

    def nth_rows(self) -> tuple[Ints, Ints]:
        """Return for each row its number's place in `unique`, and how many it has before it."""
        size = int(self.counts.sum())
        places, nth = np.empty(size, _PLACE), np.zeros(size, _PLACE)
        order = slice(None) if self._order is None else self._order
        if self._starts is None:
            places[order] = upto(size)
        else:
            places[order] = np.repeat(upto(len(self.unique)), self.counts)
            nth[order] = upto(size) - np.repeat(self._starts, self.counts)
        return places, nth

    def row_of_nth(self, places: Ints, nth: Ints) -> Ints:
        """Return the row that has a number after so many others of it."""
        starts = places if self._starts is None else self._starts[places]
        return starts + nth if self._order is None else self._order[starts + nth]


def _small(numbers: Ints) -> Ints:
    """Return differences of numbers, which are small even where these had no room in 64 bits."""
    return numbers.astype(_PLACE) if numbers.dtype == object else numbers


def moved(balances: "array[int]", numbers: Sequence[int], by: int) -> tuple[int, int]:
    """Add `by` to the balance of each number; return how much more is above zero, and below it."""
    cells, at = column(balances), column(numbers)
    times: Ints | int = 1
    if not is_rising(at):
        at, times = np.unique(at, return_counts=True)
    before = cells[at]
    after = before + times * by
    cells[at] = after
    above = np.maximum(after, 0).sum() - np.maximum(before, 0).sum()
    return int(above), int(above - (after.sum(dtype=np.int64) - before.sum(dtype=np.int64)))


def same_numbers(one: Ints, other: Ints) -> bool:
    """Return whether two columns have the same numbers equally often."""
    if len(one) != len(other):
        return False
    one, other = (column if is_rising(column) else np.sort(column) for column in (one, other))
    return bool(np.all(one == other))


class Pairs(NamedTuple):
    """Which send belongs to which receipt: rows of both columns, -1 for none.

    A message that was sent twice may arrive twice: the first receipt belongs to the first send. A
    receipt without a send is a repetition if its number had been sent, or had arrived before.
    """

    sends: Ints
    receipts: Ints
    repeated: Flags


def paired(sent: Ints, received: Ints) -> Pairs:
    """Match each receipt to its send: first all sends in order, then the receipts without one."""
    sends, receipts = Index(sent), Index(received)
    places, nth = receipts.nth_rows()
    there, at = sends.find(receipts.unique)
    copies = np.where(there, sends.counts[at], 0) if len(sends) else np.zeros(len(receipts), int)
    matched = nth < copies[places]
    got = np.full(len(sent), -1, _PLACE)
    got[sends.row_of_nth(at[places[matched]], nth[matched])] = places_of(matched)
    extra = places_of(~matched)
    again = there[places[extra]] | (nth[extra] > 0)
    return Pairs(
        sends=np.concatenate((upto(len(sent)), np.full(len(extra), -1, _PLACE))),
        receipts=np.concatenate((got, extra)),
        repeated=np.concatenate((np.zeros(len(sent), np.bool_), again)),
    )


def plain(numbers: Ints) -> list[int]:
    """Return numbers as Python's own."""
    found: list[int] = numbers.tolist()
    return found


def counts(places: Ints, size: int) -> list[int]:
    """Return how often each place from 0 to `size` - 1 is there."""
    return plain(np.bincount(places, minlength=size))


def where(flags: Flags, values: Ints, otherwise: int) -> Ints:
    """Return the values where a flag is set, and another one elsewhere."""
    return np.where(flags, values, otherwise)


def is_in(numbers: Ints, rising: Ints) -> Flags:
    """Return whether each number is among others, which rise."""
    return Index(rising).has(numbers)


def any_of(flags: Iterable[Flags], size: int) -> Flags:
    """Return where at least one of several columns has a flag."""
    found = np.zeros(size, np.bool_)
    for one in flags:
        found |= one
    return found


def any_of_each(flags: Flags, index: Index) -> Flags:
    """Return for each number of an index whether a flag of its rows is set."""
    places, _ = index.nth_rows()
    found = np.zeros(len(index), np.bool_)
    found[places[flags]] = True
    return found


def rising_from_zero(numbers: Ints) -> int:
    """Return how many of 0, 1, 2 ... are there in a row; the numbers rise."""
    numbers = numbers[numbers >= 0]
    wrong = np.flatnonzero(numbers != np.arange(len(numbers)))
    return int(wrong[0]) if len(wrong) else len(numbers)


def last_by_number(numbers: Ints, times: Floats) -> tuple[Index, Floats]:
    """Return the last time of each number."""
    index = Index(numbers)
    return index, times[index.row_of_nth(np.arange(len(index)), index.counts - 1)]


def earliest(
    numbers: Ints, times: Floats, later: Ints, later_times: Floats, *, since: Floats | None = None
) -> tuple[Index, Floats]:
    """Return the earliest time of each of `numbers`, here or among `later` ones.

    With `since`, it is not before that time, which each of `numbers` has.
    """
    index = Index(numbers)
    places, _ = index.nth_rows()
    least = np.full(len(index), np.inf)
    np.minimum.at(least, places, times)
    there, at = index.find(later)
    np.minimum.at(least, at[there], later_times[there])
    if since is not None:
        first = np.full(len(index), np.inf)
        np.minimum.at(first, places, since)
        np.maximum(least, first, out=least)
    return index, least


def previous_of_each(times: Floats, places: Ints) -> Floats:
    """Return for each time the one before it of the same place, unless that is later."""
    found = np.full(len(times), -np.inf)
    for place in np.unique(places):
        of = np.flatnonzero(places == place)
        found[of[1:]] = np.minimum(times[of[:-1]], times[of[1:]])
    return found


def chunks_of_lines(ns: Ints, firsts: "array[int]") -> Ints:
    """Return in which chunk each line of a stream is; chunk k begins with line `firsts[k]`."""
    starts = np.searchsorted(ns, column(firsts))  # the lines rise
    return np.repeat(upto(len(firsts)), np.diff(starts, append=len(ns)))


def joined_order(parts: Sequence[Ints]) -> Ints:
    """Return the order that sorts what several columns have one after another."""
    return order_of(np.concatenate(parts))


def not_in_turn(order: Ints, size: int) -> list[int]:
    """Return the places where it isn't the turn of the first `size` that goes on."""
    return plain(np.flatnonzero(order != np.resize(order[:size], len(order))))


def with_more(numbers: Ints, others: Ints) -> Ints:
    """Return numbers and, after them, those of the others that aren't there."""
    missing = others[~Index(numbers).has(others)]
    return np.concatenate((numbers, missing)) if len(missing) else numbers


def first_ones(numbers: Ints) -> Ints:
    """Return each number once, where it first is."""
    if is_rising(numbers):
        return numbers
    index = Index(numbers)
    return index.unique[index.in_order_of_rows()]


def sorted_by(values: Ints, keys: Ints) -> Ints:
    """Return values in the order of their keys."""
    return values if is_rising(keys) else values[np.argsort(keys, kind="stable")]
