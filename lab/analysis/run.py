"""A run as a judge sees it: a pure function of a run directory's content."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pushpull.analysis import brokers, cut, handshakes
from pushpull.analysis.handshakes import REPORT_LATE_S, Handshake
from pushpull.analysis.messages import Columns, Messages, steady
from pushpull.core.clock import NO_ORDER_S
from pushpull.core.names import program_of
from pushpull.core.parameters import Value, of_run
from pushpull.core.records import Event, Message, Reader, Record
from pushpull.core.wording import joined
from pushpull.runs import pcap
from pushpull.runs.directory import packets_of
from pushpull.runs.store import StoredRun

if TYPE_CHECKING:  # they import NumPy, for which not every command needs to wait
    from pushpull.analysis.by_number import Takers, Times
    from pushpull.analysis.hops import Hop
    from pushpull.analysis.values import Values
    from pushpull.analysis.vectors import Floats, Index


class Run:
    """One run: messages, connections and faults.

    All times are UNIX seconds on the harness's clock.

    Attributes:
        cut: a sentence that says why missing messages may not be the programs' doing; empty if
            the run ended by itself.
        disturbed: a sentence that says why times in it mean nothing; empty if they are sound.
    """

    def __init__(self, stored: StoredRun, reads: Reader) -> None:
        self._stored = stored
        self._clocks: Mapping[str, Mapping[str, Any]] = stored.description.get("clocks", {})
        self._reads = reads
        clock_of = functools.partial(steady, self._clocks)
        self._messages = Columns(stored.records, reads, clock_of, cut.killed(stored.events))
        self.disturbed = cut.disturbed_reason(stored)
        self.cut = cut.reason(stored)
        if not self.cut and not self._all_came_as_sent():
            self.cut = cut.unreadable_reason(stored.records)

    def _all_came_as_sent(self) -> bool:
        from pushpull.analysis import vectors

        sent, received = map(vectors.column, (self.sent.numbers, self.received.numbers))
        return vectors.same_numbers(sent, received)

    @property
    def records(self) -> Sequence[Record]:
        """All captured lines, including those that are not about a message."""
        return self._stored.records

    def messages(self) -> Iterable[Messages]:
        """Return the messages of each kind."""
        return self._messages.kinds()

    @property
    def sent(self) -> Messages:
        """The messages that senders printed, in the order of their output."""
        return self._messages.of("sent")

    def may_send(self, process: str) -> bool:
        """Return whether lines of a process can say that it sent something, and so its traces."""
        trusts = getattr(self._reads, "trusts", None)
        return trusts is None or bool(trusts(process, "dealt"))

    @property
    def traced_sends(self) -> Messages:
        """The messages of which senders traced that the send returned."""
        return self._messages.of("dealt")

    @property
    def received(self) -> Messages:
        """The messages that receivers printed."""
        return self._messages.of("received")

    @functools.cached_property
    def values(self) -> "Mapping[str, Values]":
        """The values of each quantity that lines or traces carry, by its name."""
        from pushpull.analysis import values

        return values.read(self.records, self._reads, self._clocks)

    @property
    def variant(self) -> str:
        """The variant of the experiment; empty if it has only one."""
        return str(self._stored.description["parameters"].get("variant", ""))

    @property
    def parameters(self) -> dict[str, Value]:
        """The value of each parameter that the experiment declares."""
        return of_run(self._stored.description)

    def flags_heard(self, by: str, of: str, start: float, end: float) -> int | None:
        """Return the TCP flags that machine `by` saw from `of` then; None if not captured."""
        path = packets_of(self._stored.path, by)
        if not path.exists():
            return None
        source = self._stored.description["inventory"][of]["address"]
        offset = self._clocks.get(by, {}).get("offset_s", 0.0)
        flags = 0
        for packet in pcap.read(path):
            if packet.source == source and start <= packet.t - offset <= end:
                flags |= packet.flags
        return flags

    @functools.cached_property
    def hops(self) -> "Sequence[Run]":
        """The hops of a pipeline in their order, each as a run of its own; else this run alone."""
        from pushpull.analysis.hops import hops_of

        return [HopRun(self, hop) for hop in hops_of(self._messages)] or [self]

    @functools.cached_property
    def said_sent(self) -> "Index":
        """The numbers that senders printed, or of which they traced that the send returned."""
        from pushpull.analysis import vectors

        traced = vectors.column(self._messages.of("dealt").numbers)
        return vectors.Index(vectors.with_more(vectors.column(self.sent.numbers), traced))

    def known_sent(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return those of `numbers` that were sent, by what any end says; all if no sender speaks.

        What was never sent is not lost, and it is nobody's turn.
        """
        from pushpull.analysis import vectors

        wanted = vectors.column(numbers)
        was_sent = self.said_sent.has(wanted) | self.takers.index.has(wanted)
        if was_sent.all() or not len(self.said_sent):
            return numbers  # of millions no list is made
        return vectors.plain(wanted[was_sent])

    @functools.cached_property
    def planned(self) -> range:
        """The numbers of the planned messages."""
        return range(self._stored.description["parameters"]["count"])

    @property
    def pause_s(self) -> float:
        """The planned pause between two messages."""
        return float(self._stored.description["parameters"].get("interval", 1.0))

    def by(self, machine: str) -> list[Message]:
        """Return the received messages that one machine printed."""
        return [message for message in self.received if message.machine == machine]

    @functools.cached_property
    def takers(self) -> "Takers":
        """The machines that printed each message, one for each time."""
        from pushpull.analysis import vectors
        from pushpull.analysis.by_number import Takers

        received = self.received
        machines = list(dict.fromkeys(machine for machine, _ in received.named))
        machine_of = vectors.column([machines.index(machine) for machine, _ in received.named])
        index = vectors.Index(vectors.column(received.numbers))
        places = vectors.column(received.places)
        return Takers(index, machine_of[places] if len(places) else places, machines)

    @functools.cached_property
    def dealt(self) -> "Times":
        """When each message was dealt: when its send returned, or was printed if no trace says.

        A busy machine may report late, so at the latest when it was received, but not before the
        one that its sender dealt before it. In a pipeline, that is when its source dealt it.
        """
        if self.hops[0] is not self:
            return self.hops[0].dealt
        from pushpull.analysis import vectors
        from pushpull.analysis.by_number import Times

        told = self._messages.of("dealt")
        if not told:
            numbers, times = vectors.column(self.sent.numbers), vectors.floats(self.sent.ts)
            return Times(*vectors.last_by_number(numbers, times))
        times = self.our_times(told)
        return Times(
            *vectors.earliest(
                vectors.column(told.numbers),
                times,
                vectors.column(self.taken.numbers),
                self.our_times(self.taken),
                since=vectors.previous_of_each(times, vectors.column(told.places)),
            )
        )

    def our_times(self, messages: Messages) -> "Floats":
        """Return the times of traces on the harness's clock."""
        from pushpull.analysis import vectors

        times = vectors.floats(messages.ts)
        ahead = vectors.reals([self.offsets.get(name, 0.0) for name, _ in messages.named])
        return times - ahead[vectors.column(messages.places)] if ahead.any() else times

    @functools.cached_property
    def printed(self) -> "Times":
        """When the line was captured that a sender prints before it sends a message."""
        from pushpull.analysis import vectors
        from pushpull.analysis.by_number import Times

        numbers, times = vectors.column(self.sent.numbers), vectors.floats(self.sent.ts)
        return Times(*vectors.last_by_number(numbers, times))

    @property
    def taken(self) -> Messages:
        """The receipts that receivers traced, each on its own machine's clock."""
        return self._messages.of("taken")

    @functools.cached_property
    def offsets(self) -> Mapping[str, float]:
        """How many seconds each machine's clock is ahead of the harness's."""
        return {machine: clock["offset_s"] for machine, clock in self._clocks.items()}

    @functools.cached_property
    def no_order_s(self) -> float:
        """Events closer than this have no order, as both of the compared clocks may be wrong."""
        worst = max((clock["uncertainty_s"] for clock in self._clocks.values()), default=0.0)
        return NO_ORDER_S + 2 * worst

    @functools.cached_property
    def report_late_s(self) -> float:
        """What is reported less than this after something else may have come before it.

        Reports are never early. So a connection certainly did not exist only this long before its
        report. Reports of what was looked for now and then say themselves how late they may be.
        """
        looked = (e.details.get("late_s") for e in self.events("connected"))
        late = max((s for s in looked if isinstance(s, int | float)), default=0.0)
        return max(REPORT_LATE_S, self.no_order_s + late)

    @functools.cached_property
    def senders(self) -> frozenset[str]:
        """The machines that sent; in a pipeline, those that sent first."""
        if self.hops[0] is not self:
            return self.hops[0].senders
        said = self.sent.speakers() | self._messages.of("dealt").speakers()
        return frozenset(machine for machine, _ in said)

    @functools.cached_property
    def receivers(self) -> list[str]:
        """The machines on which a program started that may receive, in the order of that.

        With patterns for programs that receive, these are meant; else all but senders and brokers.
        """
        receives = getattr(self._reads, "receives", lambda _: True)
        starts = (e for e in self.events("start") if e.place not in self.brokers)
        started = [e.machine for e in starts if receives(program_of(e.process))]
        return [machine for machine in dict.fromkeys(started) if machine not in self.senders]

    def events(self, name: str, *, by: Iterable[str] | None = None) -> list[Event]:
        """Return the events with this name, of the machines `by` if given, ordered by time."""
        machines = None if by is None else set(by)
        found = (
            event
            for event in self._stored.events
            if event.event == name and (machines is None or event.machine in machines)
        )
        return sorted(found, key=lambda event: event.t)

    @functools.cached_property
    def connections(self) -> list[Event]:
        """The handshakes that the sender's library reported, or those of the broker between."""
        return self.at_the_source("connected")

    def at_the_source(self, name: str) -> list[Event]:
        """Return what connections with receivers did, where they connect to: a sender or broker."""
        if not self.brokers:
            return self.events(name, by=self.senders)
        inventory = self._stored.description["inventory"]
        senders = {inventory[machine]["address"] for machine in self.senders}
        return brokers.with_receivers(self.events(name), self.brokers, senders)

    @functools.cached_property
    def brokers(self) -> frozenset[tuple[str, str]]:
        """The machine and the process of each life of a broker between senders and receivers."""
        return brokers.places(self.events("start"))

    @functools.cached_property
    def handshakes(self) -> list[Handshake]:
        """The connections of receivers, in order."""
        owns = self.events("connected", by=self.receivers)
        starts = {event.place: event.t for event in self.events("start")}
        return handshakes.matched(owns, self.connections, starts, self.report_late_s)

    @functools.cached_property
    def fault(self) -> Event | None:
        """The first fault that took effect and was verified."""
        return next((e for e in self.events("fault") if e.details.get("verified")), None)

    @functools.cached_property
    def sent_all(self) -> bool:
        """Whether every sender finished without an error, so that it has sent everything."""
        if self.cut:
            return False
        if self.hops[0] is not self:
            return all(hop.sent_all for hop in self.hops)
        programs = {program_of(process) for _, process in self.sent.speakers()}
        exits = [
            event
            for event in self.events("exit", by=self.senders)
            if not programs or program_of(event.process) in programs
        ]
        return bool(exits) and all(map(self._finished, exits))

    def _finished(self, end: Event) -> bool:
        """Return whether a sender has sent everything, by its end."""
        return bool(end.details["by"] == "itself" and end.details["status"] == 0)

    @functools.cached_property
    def last_known(self) -> float:
        """The last message whose fate is known; that is all of them if the sender finished.

        If not, messages after the last receipt may have been in flight, or were never sent.
        """
        if self.cut:
            return -1
        if self.sent_all:
            return float("inf")
        numbers = self.takers.index.unique
        if len(self.said_sent):  # a receipt of what nobody sent tells nothing
            numbers = numbers[self.said_sent.has(numbers)]
        return int(numbers.max(initial=-1))

    def dealt_between(self, start: float, end: float = float("inf")) -> Sequence[int]:
        """Return the planned numbers that were sent after `start` and before `end`.

        Messages too close to either are left out. A number that the sender skipped counts as
        between its neighbours. A sender may be stopped between a send and its report; so one that
        is reported after `start` counts only if its turn did not come before.
        """
        if not self.dealt:
            return range(0)
        numbers, times = self.dealt.index.unique, self.dealt.times
        by_start = numbers[times <= start + self.no_order_s]
        by_end = numbers[times >= end - self.no_order_s]
        latest = int(by_start.max(initial=-1))
        under_way = latest >= 0 and self.dealt[latest] + self.dealt.shortest_gap <= start
        # A sender that waited for its first connection has printed the number before that.
        waited = self.printed.get(latest + 1, float("inf")) <= start
        under_way |= waited and any(event.t < start for event in self.connections)
        first = latest + 1 + under_way
        last = min(int(by_end.min(initial=len(self.planned))) - 1, self.last_known)
        return range(first, int(min(last, len(self.planned) - 1)) + 1)


class HopRun(Run):
    """One hop of a pipeline, as a run in which only its messages were sent and received.

    `rows` are those that its messages have in the whole run, by their kinds.
    """

    def __init__(self, whole: Run, hop: "Hop") -> None:
        self._stored, self._clocks, self._whole = whole._stored, whole._clocks, whole
        self._messages, self._reads, self.rows = hop.messages, whole._reads, hop.rows
        self._hands_on = hop.number > 0
        self.disturbed, self.cut = whole.disturbed, whole.cut

    @property
    def hops(self) -> Sequence[Run]:
        return [self]

    @functools.cached_property
    def receivers(self) -> list[str]:
        """The machines on which a program was started that received on this hop, or could have."""
        here = self.received.speakers()
        elsewhere = self._whole.received.speakers() - here
        programs = {program_of(process) for _, process in here}
        started = [
            event.machine
            for event in self.events("start")
            if program_of(event.process) in programs
            and (event.machine, event.process) not in elsewhere
        ]
        return list(dict.fromkeys(started))

    def _finished(self, end: Event) -> bool:
        """Return whether all was sent; who hands on may wait for more until the lab ends it."""
        return super()._finished(end) or (self._hands_on and end.details["by"] == "harness")

    def __str__(self) -> str:
        ends = {"from": sorted(self.senders), "to": self.receivers}
        if self.senders & set(self.receivers):
            speakers = {"from": self.sent.speakers(), "to": self.received.speakers()}
            ends = {
                word: sorted(f"{process} on {machine}" for machine, process in of)
                for word, of in speakers.items()
            }
        return " ".join(f"{word} {joined(names)}" for word, names in ends.items() if names)
