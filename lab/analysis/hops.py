"""Pipelines: programs that receive messages and hand them on, so that each one goes several hops.

From the source to the first relays is hop 0, from there to the next programs hop 1, and so on. A
number then has a send and a receipt on each hop, and none of them is a repetition.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.messages import Columns, Messages
from pushpull.analysis.vectors import Ints, places_of
from pushpull.core.names import program_of


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop: its messages, and the rows that they have among all messages of their kinds."""

    number: int
    messages: Columns
    rows: dict[str, Ints]


def hops_of(messages: Columns) -> list[Hop]:
    """Return the hops of a run in their order; none if no program hands messages on.

    A process hands on if it prints that it sent a message after it printed that it received it. One
    that sends first and receives afterwards, as a client does, doesn't.
    """
    sent, received = messages.of("sent"), messages.of("received")
    both = np.intersect1d(np.unique(vectors.column(sent.places)), vectors.column(received.places))
    relays = [place for place in both.tolist() if _hands_on(place, sent, received)]
    if not relays:
        return []
    levels = _levels(relays, sent, received, messages.programs)
    hop_of_sends = np.zeros(len(sent.named), np.int64)
    for relay, level in levels.items():
        hop_of_sends[relay] = level
    hop_of_receipts = _hops_of_receipts(levels, hop_of_sends, sent, received)
    count = 1 + max(levels.values())
    by_kind = {
        "sent": hop_of_sends, "dealt": hop_of_sends,
        "received": hop_of_receipts, "taken": hop_of_receipts,
    }  # fmt: skip
    return [_hop(messages, by_kind, number) for number in range(count)]


def numbers_of(hops: Iterable[Hop]) -> dict[tuple[str, str, str], int]:
    """Return on which hop each process sends and receives, by machine, process and kind."""
    return {
        (*life, kind): hop.number
        for hop in hops
        for kind in ("sent", "received")
        for life in hop.messages.of(kind).speakers()
    }


def _hop(messages: Columns, by_kind: dict[str, Ints], number: int) -> Hop:
    rows = {}
    for kind, hop_of in by_kind.items():
        places = vectors.column(messages.of(kind).places)
        rows[kind] = places_of(hop_of[places] == number) if len(places) else vectors.upto(0)
    return Hop(number, messages.part(rows), rows)


def _hands_on(place: int, sent: Messages, received: Messages) -> bool:
    """Return whether a process mostly printed the receipt of a message before its send."""
    (sends, sent_ns), (receipts, received_ns) = _firsts(place, sent), _firsts(place, received)
    common, of_sends, of_receipts = np.intersect1d(sends, receipts, return_indices=True)
    before = received_ns[of_receipts] <= sent_ns[of_sends]
    return len(common) > 0 and 2 * int(before.sum()) > len(common)


def _firsts(place: int, messages: Messages, values: Any = None) -> tuple[Ints, Ints]:
    """Return the numbers of a process's messages, and what belongs to each one's first.

    That is one of the `values`, which are those of all messages; by default, its line's number.
    """
    mine = places_of(vectors.column(messages.places) == place)
    index = vectors.Index(vectors.column(messages.numbers)[mine])
    found = np.asarray(messages.lines()[2] if values is None else values)[mine]
    return index.unique, found[index.first_rows()]


def _levels(
    relays: list[int], sent: Messages, received: Messages, order: Sequence[str]
) -> dict[int, int]:
    """Return how many hops a message has behind it when it has reached each relay, from 1.

    That is one more than the usual number of relays before it that handled the same message.
    """
    parts: list[tuple[Ints, Ints, Ints]] = []
    for k, relay in enumerate(relays):
        numbers, times = _firsts(relay, received, received.ts)
        handed_on = np.isin(numbers, _firsts(relay, sent)[0])
        parts.append((numbers[handed_on], times[handed_on], np.full(int(handed_on.sum()), k)))
    numbers, times, of = (np.concatenate(column) for column in zip(*parts, strict=True))
    by_time = np.lexsort((times, numbers))
    numbers, times, of = numbers[by_time], times[by_time], of[by_time]
    programs = [program_of(sent.named[relay][1]) for relay in relays]
    signs = [
        _by_what_is_missing(relays, programs, sent, received),
        _signs([_place_in(order, program) for program in programs]),
        _by_capture(numbers, of, len(relays)),
    ]
    before = _first_that_says(signs) > 0
    ranks = np.zeros(len(of), np.int64)
    for one, other in _pairs(numbers):
        ranks[one] += before[of[other], of[one]]
        ranks[other] += before[of[one], of[other]]
    return {relay: 1 + int(np.median(ranks[of == k])) for k, relay in enumerate(relays)}


def _pairs(numbers: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Give the rows of each two that have the same number; `numbers` are sorted."""
    for distance in range(1, len(numbers)):
        first = places_of(numbers[distance:] == numbers[:-distance])
        if not len(first):
            return
        yield first, first + distance


# Each of these returns a table: for each two relays 1 if messages pass the one before the other, -1
# if after it, and 0 if that can't be told.


def _first_that_says(tables: Sequence[Any]) -> Any:
    """Return what the first table says that says anything.

    The times come last: a busy lab captures the lines of two programs in any order.
    """
    return functools.reduce(lambda found, other: np.where(found, found, other), tables)


def _by_what_is_missing(
    relays: list[int], programs: list[str], sent: Messages, received: Messages
) -> Any:
    """Take that order of two programs in which fewer messages come that the first never sent."""
    names = list(dict.fromkeys(programs))
    places = {
        name: [r for r, of in zip(relays, programs, strict=True) if of == name] for name in names
    }
    sends, receipts = (
        {name: np.concatenate([_firsts(r, kind)[0] for r in places[name]]) for name in names}
        for kind in (sent, received)
    )
    odd = np.array(
        [
            [int((~np.isin(receipts[later], sends[first])).sum()) for later in names]
            for first in names
        ]
    )
    of_relay = [names.index(program) for program in programs]
    return np.sign(odd.T - odd)[np.ix_(of_relay, of_relay)]


def _by_capture(numbers: Ints, of: Ints, size: int) -> Any:
    """Take the order in which most lines were captured."""
    first = np.zeros((size, size), np.int64)
    for one, other in _pairs(numbers):  # the second of each two is never the earlier one
        np.add.at(first, (of[one], of[other]), 1)
    captured = np.sign(first - first.T)
    return np.where(captured, captured, _signs(range(size)))


def _signs(places: Sequence[int]) -> Any:
    """Return for each two places 1 if the one is before the other, -1 if after it, else 0."""
    column = np.asarray(places)
    return np.sign(column[None, :] - column[:, None])


def _place_in(order: Sequence[str], program: str) -> int:
    return order.index(program) if program in order else len(order)


def _hops_of_receipts(
    levels: dict[int, int], hop_of_sends: Ints, sent: Messages, received: Messages
) -> Ints:
    """Return the hop by which messages came to each process."""
    programs = {program_of(sent.named[relay][1]): level for relay, level in levels.items()}
    hops = np.zeros(len(received.named), np.int64)
    hop_of: Any = hop_of_sends[vectors.column(sent.places)]
    handed_on = {
        level: np.unique(vectors.column(sent.numbers)[hop_of == level])
        for level in sorted(set(levels.values()))
    }
    for place in np.unique(vectors.column(received.places)).tolist():
        if place in levels:
            hops[place] = levels[place] - 1
            continue
        if (level := programs.get(program_of(received.named[place][1]))) is not None:
            hops[place] = level - 1  # one that died before it could hand on
            continue
        numbers, _ = _firsts(place, received)
        for level, there in handed_on.items():
            if 2 * int(np.isin(numbers, there).sum()) > len(numbers):
                hops[place] = level
    return hops
