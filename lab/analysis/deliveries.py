"""How each message of a run went from machine to machine, as columns.

Pure functions of a run directory's content.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.lanes import Lanes
from pushpull.analysis.messages import Messages
from pushpull.analysis.run import HopRun, Run
from pushpull.analysis.vectors import Flags, Floats, Ints, places_of

LATE_S = 0.1  # a message that takes longer was held up somewhere

# What became of a message, with the words for the reader.
FATES = {
    "arrived": "arrived",
    "late": "arrived late",
    "lost": "lost: no machine printed it",
    "unknown": "unknown: the run ended first",
    "stuck": "printed, but its send never returned",
    "again": "arrived again",
    "unsent": "arrived, though no program printed that it was sent",
}
_CODE = {fate: code for code, fate in enumerate(FATES)}
NOBODY = -1  # instead of a machine
_COLUMNS = ("numbers", "by", "to", "sent", "got", "fates", "hops", "sends", "receipts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message, from its sender to its receiver.

    Attributes:
        number: the message's number.
        by, to: the machines that sent and received it; "" for none.
        sent: when its send returned, else when its number was captured; None if never sent.
        got: when it was received, else when its line was captured; None if never received.
        fate: a key of FATES.
    """

    number: int
    by: str
    to: str
    sent: float | None
    got: float | None
    fate: str

    @property
    def latency_s(self) -> float | None:
        """Seconds from the send's return to the receipt, if both are known."""
        return None if self.sent is None or self.got is None else self.got - self.sent


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Deliveries(Sequence[Delivery]):
    """The messages of a run, in the order of their first lines; a look at one makes an object.

    Attributes:
        machines: the run's machines; `by` and `to` are places in them, NOBODY for none.
        numbers: the messages'.
        sent, got: seconds, NaN for never.
        fates: places in FATES.
        hops: on which hop of a pipeline each went, from 0, see `hops`; elsewhere all are 0.
        sends, receipts: rows of `Run.sent` and `Run.received`, -1 for none.
    """

    machines: tuple[str, ...]
    numbers: Ints
    by: Ints
    to: Ints
    sent: Floats
    got: Floats
    fates: Ints
    hops: Ints
    sends: Ints
    receipts: Ints

    def of_fate(self, fate: str) -> int:
        """Return how many messages have a fate."""
        return int((self.fates == _CODE[fate]).sum())

    def fate_is(self, *fates: str) -> Flags:
        """Return whether each has one of these fates."""
        return np.isin(self.fates, [_CODE[fate] for fate in fates])

    @property
    def odd(self) -> Flags:
        """Whether something other than its arrival is to be said of each."""
        return np.asarray(self.fates != _CODE["arrived"], np.bool_)

    @property
    def departed(self) -> Flags:
        return ~np.isnan(self.sent)

    @property
    def arrived(self) -> Flags:
        return ~np.isnan(self.got)

    def senders(self) -> list[str]:
        """Return the machines that sent, in the order of their first messages."""
        by = self.by[self.by != NOBODY]
        return [self.machines[k] for k in vectors.first_ones(by)]

    def gaps(self) -> Floats:
        """Return the seconds between each two sends of one machine, one after another."""
        of_each = [np.sort(self.sent[self.departed & (self.by == k)]) for k in np.unique(self.by)]
        return np.concatenate([np.diff(times) for times in of_each] or [np.empty(0)])

    def at(self, places: Ints | Flags) -> "Deliveries":
        """Return some of them."""
        if places.dtype == np.bool_ and places.all():
            return self
        some = {name: getattr(self, name)[places] for name in _COLUMNS}
        return Deliveries(machines=self.machines, **some)

    def of_hops(self) -> "list[Deliveries]":
        """Return those of each hop, in their order; of no messages, all of them."""
        numbers = np.unique(self.hops).tolist() or [0]
        return [self.at(self.hops == number) for number in numbers]

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Delivery]:
        return map(self._delivery, range(len(self)))

    @overload
    def __getitem__(self, at: int) -> Delivery: ...
    @overload
    def __getitem__(self, at: slice) -> list[Delivery]: ...
    def __getitem__(self, at: int | slice) -> Delivery | list[Delivery]:
        places = range(len(self))[at]
        if isinstance(places, range):
            return list(map(self._delivery, places))
        return self._delivery(places)

    def _delivery(self, k: int) -> Delivery:
        by, to = int(self.by[k]), int(self.to[k])
        sent, got = float(self.sent[k]), float(self.got[k])
        return Delivery(
            number=int(self.numbers[k]),
            by="" if by == NOBODY else self.machines[by],
            to="" if to == NOBODY else self.machines[to],
            sent=None if np.isnan(sent) else sent,
            got=None if np.isnan(got) else got,
            fate=list(FATES)[self.fates[k]],
        )


def deliveries_of(run: Run, lanes: Lanes, origin: float) -> Deliveries:
    """Return how the messages went whose lines are on stdout; `origin` is second 0."""
    if len(run.hops) == 1:
        return _on_one_hop(run, lanes, origin)
    parts = [
        replace(
            part := _on_one_hop(hop, lanes, origin),
            hops=np.full(len(part), number, np.uint8),
            sends=_of_whole_run(hop.rows["sent"], part.sends),
            receipts=_of_whole_run(hop.rows["received"], part.receipts),
        )
        for number, hop in enumerate(run.hops)
        if isinstance(hop, HopRun)
    ]
    whole = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    found = Deliveries(machines=lanes.names, **whole)
    return found.at(vectors.order_of(np.fmin(found.sent, found.got)))


def _of_whole_run(rows: Ints, of_hop: Ints) -> Ints:
    """Return the rows that those of a hop have in the whole run; -1 stays -1."""
    return np.append(rows, -1)[of_hop]


def _on_one_hop(run: Run, lanes: Lanes, origin: float) -> Deliveries:
    sent, received = _Printed(run.sent, lanes), _Printed(run.received, lanes)
    sends, receipts, repeated = _in_order_of_lines(sent, received)
    departed, arrived = sends >= 0, receipts >= 0
    numbers = np.where(
        departed, sent.get(sent.numbers, sends), received.get(received.numbers, receipts)
    )
    by = np.where(departed, sent.get(sent.machines, sends), np.int16(NOBODY))
    to = np.where(arrived, received.get(received.machines, receipts), np.int16(NOBODY))
    sent_t, got_t = sent.get(sent.ts, sends), received.get(received.ts, receipts)
    stuck = departed & _put_sends(run, sent, numbers, sent_t)
    _put_receipts(run, lanes, numbers, to, got_t)
    sent_t[~departed] = got_t[~arrived] = np.nan
    sent_t -= origin
    got_t -= origin
    fates = np.full(len(numbers), _CODE["arrived"], np.uint8)
    if run.sent:  # if no program reports what it sent, a receipt without a send is nothing odd
        fates[got_t - sent_t >= LATE_S] = _CODE["late"]
        fates[~departed] = _CODE["unsent"]
        fates[~departed & repeated] = _CODE["again"]
        fates[~arrived] = _CODE["lost"]
        fates[~arrived & (numbers > run.last_known)] = _CODE["unknown"]
        fates[~arrived & stuck] = _CODE["stuck"]
    return Deliveries(
        machines=lanes.names,
        numbers=numbers,
        by=by,
        to=to,
        sent=sent_t,
        got=got_t,
        fates=fates,
        hops=np.zeros(len(numbers), np.uint8),
        sends=np.where(departed, sent.get(sent.rows, sends), -1),
        receipts=np.where(arrived, received.get(received.rows, receipts), -1),
    )


def _in_order_of_lines(sent: "_Printed", received: "_Printed") -> vectors.Pairs:
    """Return the pairs of sends and receipts, in the order of their first lines."""
    pairs = vectors.paired(sent.numbers, received.numbers)
    first = sent.get(sent.ts, pairs.sends)
    first[pairs.sends < 0] = np.nan
    second = received.get(received.ts, pairs.receipts)
    second[pairs.receipts < 0] = np.nan
    order = vectors.order_of(np.fmin(first, second, out=first))
    return vectors.Pairs(*(column[order] for column in pairs))


class _Printed:
    """Messages whose lines are on stdout: the others are nothing that was printed."""

    def __init__(self, messages: Messages, lanes: Lanes) -> None:
        sources, places, _ = messages.lines()
        of = vectors.column(places)
        printed = np.array([stream == "stdout" for *_, stream in sources], np.bool_)
        names = [lanes.of(machine, process) for machine, process, _ in sources]
        there = [lanes.names.index(name) if name in lanes.names else NOBODY for name in names]
        self.rows = places_of(printed[of]) if len(of) else vectors.upto(0)
        every = len(self.rows) == len(messages)
        rows = slice(None) if every else self.rows
        self.numbers = vectors.column(messages.numbers)[rows]
        self.ts = vectors.floats(messages.ts)[rows]
        self.machines = np.array(there, np.int16)[of[rows]] if len(of) else np.empty(0, np.int16)

    def get(self, column: Ints, rows: Ints) -> Ints:
        """Return a column at some rows; where a row is -1, anything."""
        return column[rows] if len(column) else np.zeros(len(rows), column.dtype)


def _put_sends(run: Run, sent: _Printed, numbers: Ints, times: Floats) -> Flags:
    """Put the times at which sends returned in the place of those of their lines.

    Return for each number whether its send never returned, although others say that they did.
    """
    there, at = run.dealt.index.find(numbers)
    if not len(run.dealt):
        return there
    there_printed, printed_at = run.dealt.index.find(sent.numbers)
    traced = not there_printed.all() or bool(np.any(run.dealt.times[printed_at] != sent.ts))
    times[there] = run.dealt.times[at[there]]
    return ~there if traced else np.zeros(len(there), np.bool_)


def _put_receipts(run: Run, lanes: Lanes, numbers: Ints, to: Ints, times: Floats) -> None:
    """Put the traced times of receipts in the place of those of their lines: first to first."""
    taken = run.taken
    if not taken:
        return
    names = [lanes.of(*life) for life in taken.named]
    traced_by, traced_t = vectors.column(taken.places), run.our_times(taken)
    for k, name in enumerate(lanes.names):
        of = np.array([other == name for other in names], np.bool_)[traced_by]
        traces, receipts = places_of(of), places_of(to == k)
        pairs = vectors.paired(numbers[receipts], vectors.column(taken.numbers)[traces])
        there = (pairs.sends >= 0) & (pairs.receipts >= 0)
        times[receipts[pairs.sends[there]]] = traced_t[traces[pairs.receipts[there]]]
