"""The state of a run in progress, in memory: lines, messages, and the triggers' conditions.

Plain data without a lock: `RunMonitor` has the one lock for reading and writing all of it, so that
a trigger, a count and the end of a run never see different states.
"""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pushpull.core.names import program_of
from pushpull.core.records import HANDED_ON, Message, Record
from pushpull.engine.balance import Balance
from pushpull.engine.sending_order import BEFORE_ALL, Position, SendingOrder
from pushpull.runs.lines import LastLines, Lines

# The last lines of each process that a trigger set later still finds; a run may print millions.
KEPT_LINES = 50_000
# Receipts whose line came before their trace: two streams may be that many lines apart.
_KEPT_EARLY = 20_000
# The last receipts of each receiver, by which is judged how far it has come.
_KEPT_RECEIPTS = 100

Place = tuple[str, str]  # the names of a machine and of a process on it


@dataclass(slots=True, eq=False)
class Look:
    """A trigger's condition: the first line on stdout of some processes that passes a test.

    `prints` tests the text of lines that can be shown; `matches` tests every record in its place.
    """

    places: Collection[Place]
    prints: Callable[[str], bool] = lambda _: False
    found: Record | None = None
    matches: Callable[[Record], bool] | None = None

    def see_all(self, records: Sequence[Record]) -> None:
        """Go through lines until it is found."""
        if self.found is not None:
            return
        for record in records:
            if self._passes(record):
                self.found = record
                return

    def _passes(self, record: Record) -> bool:
        if self.matches is not None:
            return self.matches(record)
        return record.shown is not None and self.prints(record.shown)


class Ledger:
    """The lines and messages of a run as they arrive.

    The lab accounts for messages by number and copy: a number that was sent twice, by one sender or
    by two, has arrived when it was received twice. Receivers can't name the sender.

    Attributes:
        sent, received: how many messages the programs' lines have reported.
        unreadable: lines on stdout that are too long to be read.
        senders: the processes that have sent.
        received_by, last_receiver: how many messages each process has received, and which one
            received the last.
    """

    def __init__(self) -> None:
        self.sent = self.received = self.unreadable = 0
        self.senders: set[Place] = set()
        self.received_by: Counter[Place] = Counter()
        self.last_receiver: Place | None = None
        self._last: defaultdict[Place, LastLines] = defaultdict(lambda: LastLines(KEPT_LINES))
        self._looks: list[Look] = []
        self._balance = Balance()
        self._hands: defaultdict[Place, _Hand] = defaultdict(_Hand)
        self._relays: dict[Place, _Relay] = {}
        self._filters: set[str] = set()  # programs, see _note_filter
        self._orders: defaultdict[Place, SendingOrder] = defaultdict(SendingOrder)  # by _sender_of
        self._receipts: defaultdict[Place, deque[int]] = defaultdict(
            lambda: deque(maxlen=_KEPT_RECEIPTS)
        )
        self._sent_until: dict[Place, dict[Place, Position]] = {}  # when a process ended
        self._sent_until_cut: dict[Place, Position] = {}
        self._gaps: dict[Place, float] = {}
        self._times: dict[Place, float] = {}  # of the last line

    def lines(self, lines: Lines) -> None:
        """Take in lines of stdout, and show them to the triggers that wait for one."""
        place = lines.machine, lines.process
        if lines.piece.is_unreadable:
            self.unreadable += 1
        gap = lines.t - self._times.get(place, lines.t)
        self._gaps[place] = max(self._gaps.get(place, 0.0), gap)
        self._times[place] = lines.t
        self._last[place].add(lines)
        for look in self._looks:
            if place in look.places:
                look.see_all(lines)

    def message(self, message: Message) -> None:
        """Account for the message in a line."""
        self.messages(message.kind, (message.machine, message.process), (message.number,))

    def messages(self, kind: str, place: Place, numbers: Sequence[int]) -> None:
        """Account for what lines of a process say of messages, all of one kind and in order."""
        if kind == HANDED_ON:
            self._note_filter(place)
            self._received(place, numbers)
            self._sent(place, numbers)
        elif kind == "sent":
            self._sent(place, numbers)
        elif kind == "received":
            self._received(place, numbers)

    def _note_filter(self, place: Place) -> None:
        """Note that a program says by one line that it received a message and hands it on.

        So a line that says only that it received one is about a message that goes no further.
        """
        program = program_of(place[1])
        if program not in self._filters:
            self._filters.add(program)
            for (_, process), relay in self._relays.items():
                if program_of(process) == program:
                    relay.held.clear()

    def _sent(self, place: Place, numbers: Sequence[int]) -> None:
        self.sent += len(numbers)
        self.senders.add(place)
        self._orders[_sender_of(place)].add(numbers)
        self._balance.move_all(numbers, 1)
        if place in self._relays and program_of(place[1]) not in self._filters:
            self._relays[place].send(numbers)

    def _received(self, place: Place, numbers: Sequence[int]) -> None:
        self.received += len(numbers)
        self.received_by[place] += len(numbers)
        self.last_receiver = place if numbers else self.last_receiver
        self._receipts[place].extend(numbers[-_KEPT_RECEIPTS:])
        self._balance.move_all(numbers, -1)
        self._hands[place].put_down(numbers)
        if place in self._relays and program_of(place[1]) not in self._filters:
            self._relays[place].receive(numbers)

    def may_hand_on(self, place: Place) -> None:
        """Note that a process both sends and receives, before it does either."""
        self._relays[place] = _Relay()

    def taken(self, place: Place, number: int) -> None:
        """Note that a program has received a message, by its trace; its line is still to come."""
        self._hands[place].take(number)

    def look(self, look: Look, *, back: bool = True) -> None:
        """Let a trigger look at each line: with `back` at those that came first, then as it comes.

        It looks back in the order of the capture, over the last KEPT_LINES of each process.
        """
        if back:
            came = [lines for place in look.places for lines in self._last[place].last()]
            for lines in sorted(came, key=_time_of_first):
                look.see_all(lines)
        self._looks.append(look)

    def forget(self, look: Look) -> None:
        """Remove a trigger that `look` has added."""
        self._looks.remove(look)

    def printed(self, places: Collection[Place]) -> int:
        """Return how many lines these processes have printed on stdout."""
        return sum(self._last[place].count for place in places)

    @property
    def all_came(self) -> bool:
        """Whether each message came as often as it was sent, and nobody has one in hand.

        Never so where one came more often than it was sent, see `is_exact`.
        """
        return self.sent > 0 and self._balance.is_even() and not any(self.in_hand())

    @property
    def sources(self) -> set[Place]:
        """The processes that send what they have not received: the others only hand on."""
        return {place for place in self.senders if not self._hands_on(place)}

    def _hands_on(self, place: Place) -> bool:
        return program_of(place[1]) in self._filters or (
            place in self._relays and self._relays[place].hands_on
        )

    @property
    def is_exact(self) -> bool:
        """Whether no message came more often than it was sent.

        One that did, as where each goes to several subscribers, hides what is still to come.
        """
        return self._balance.surplus == 0

    def in_hand(self) -> Iterator[Place]:
        """Give the processes that have received what they have not printed yet, by their traces.

        Also those that hand messages on, and have one still to be sent.
        """
        yield from (place for place, hand in self._hands.items() if hand.held)
        yield from (place for place, relay in self._relays.items() if relay.held)

    def is_at_work(self, place: Place) -> bool:
        """Return whether a process holds one of the messages that are outstanding."""
        hand, relay = self._hands.get(place), self._relays.get(place)
        held = {*(hand.held if hand else ()), *(relay.held if relay else ())}
        return bool(held) and not held.isdisjoint(self.missing())

    def traces_receipts(self, place: Place) -> bool:
        """Whether a process has traced a receipt."""
        return place in self._hands and self._hands[place].traces

    def ended(self, place: Place) -> None:
        """Note that a process has ended: what is sent later does not go to it."""
        self._sent_until[place] = self._sent_so_far()

    def cut_off(self) -> None:
        """Note that machines are kept apart: what is sent later does not reach all receivers."""
        self._sent_until_cut = self._sent_so_far()

    def _sent_so_far(self) -> dict[Place, Position]:
        return {sender: order.end for sender, order in self._orders.items()}

    def waiting_for(self, place: Place, *, is_cut_off: bool = False) -> list[int]:
        """Return the outstanding messages that may still wait for a receiver.

        It has passed what a sender sent before a message that it has printed. One that is cut off
        may have only what was sent before that.
        """
        passed = self._passed_by(place)
        until = self._sent_until_cut
        return [
            number
            for number in self.missing()
            if any(
                order.latest(number) > passed.get(sender, BEFORE_ALL)
                and not (is_cut_off and order.earliest(number) > until.get(sender, BEFORE_ALL))
                for sender, order in self._orders.items()
            )
        ]

    def may_have_had(self, place: Place, number: int, turn: int, *, until_end: bool) -> bool:
        """Return whether an outstanding message may have gone to a receiver that is silent now.

        It was not sent within a `turn` of so many receivers after the last one that it printed, and
        with `until_end` before it had ended.
        """
        passed, until = self._passed_by(place), self._sent_until.get(place, {})
        return any(
            order.latest(number) > _later(passed.get(sender, BEFORE_ALL), turn - 1)
            and (not until_end or order.earliest(number) <= until.get(sender, BEFORE_ALL))
            for sender, order in self._orders.items()
            if order.rows(number)
        )

    def _passed_by(self, place: Place) -> Mapping[Place, Position]:
        """Return how far a receiver has come in what each sender sent.

        A number that several programs sent by themselves does not say whose it was.
        """
        sources = {_sender_of(one) for one in self.sources}
        passed: dict[Place, Position] = {}
        for number in set(self._receipts[place]) if place in self._receipts else ():
            by = [sender for sender, order in self._orders.items() if order.rows(number)]
            if len(sources.intersection(by)) > 1:
                continue
            for sender in by:
                at = self._orders[sender].earliest(number)
                passed[sender] = max(passed.get(sender, BEFORE_ALL), at)
        return passed

    def last_sent(self, place: Place) -> int:
        """Return the number that a sender printed last."""
        return self._orders[_sender_of(place)].last_number

    def longest_gap(self, place: Place) -> float:
        """Return the most seconds between two lines of a process; 0 if it has printed no two."""
        return self._gaps.get(place, 0.0)

    @property
    def outstanding(self) -> int:
        """How many copies were sent and not received yet."""
        return self._balance.outstanding

    def missing(self) -> list[int]:
        """Return the numbers of the messages that are outstanding."""
        return self._balance.missing()


def _sender_of(place: Place) -> Place:
    """Return the machine and the program: its lives send one after another."""
    return place[0], program_of(place[1])


def _later(position: Position, by: int) -> Position:
    return position if position == BEFORE_ALL else position._replace(number=position.number + by)


def _time_of_first(records: Sequence[Record]) -> float:
    return records[0].t


class _Hand:
    """What one receiver has received and not printed yet.

    It prints in the order in which it receives: what it has passed over won't be printed any more.
    """

    def __init__(self) -> None:
        self.traces = False
        self.held: OrderedDict[int, None] = OrderedDict()
        # Of these the line came by its stream before the trace by another.
        self._early: OrderedDict[int, None] = OrderedDict()
        # These, as long as no trace came at all: most programs trace nothing, and print much.
        self._untraced: deque[int] = deque(maxlen=_KEPT_EARLY)

    def take(self, number: int) -> None:
        if not self.traces:
            self.traces = True
            self._early = OrderedDict.fromkeys(self._untraced)
        if number in self._early:
            del self._early[number]
            self.held.clear()  # received before this one, whose line has come
        else:
            self.held[number] = None

    def put_down(self, numbers: Sequence[int]) -> None:
        if not self.traces:
            self._untraced.extend(numbers)
            return
        for number in numbers:
            if number not in self.held:
                self._early[number] = None
                if len(self._early) > _KEPT_EARLY:
                    self._early.popitem(last=False)
                continue
            while self.held.popitem(last=False)[0] != number:
                pass


class _Relay:
    """What a process that sends and receives holds: it received it, and has still to send it on.

    What comes back to it is not to be sent on: it sent that first, as a client does.
    """

    def __init__(self) -> None:
        self.hands_on = False
        self.held: set[int] = set()
        self._own: set[int] = set()  # it sent these, and they have not come back

    def receive(self, numbers: Sequence[int]) -> None:
        own = self._own.intersection(numbers)
        self._own -= own
        self.held.update(set(numbers) - own)

    def send(self, numbers: Sequence[int]) -> None:
        handed_on = self.held.intersection(numbers)
        self.held -= handed_on
        self.hands_on = self.hands_on or bool(handed_on)
        self._own.update(set(numbers) - handed_on)
