"""When a run ends, and what is still open then: the rules in docs/when-a-run-ends.md. Pure.

A silent program has not lost anything yet. So silence ends a run only if it lasts longer than a
program at work may need; and messages that may arrive even later are reported as open, not lost.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from pushpull.engine.ledger import Ledger, Place

QUIET_S = 0.5  # or two intervals: silence that ends a run in which nothing is outstanding
PATIENCE_S = 3.0  # silence that ends a run in which a program could still print what is missing
AT_WORK_S = 10.0  # silence that ends it if a program is at work, or was as slow before
RESTS = 1.5  # times its longest rest, a receiver may rest again
_GAPS = 3  # times the longest gap between two lines of a program that traces no receipts

_LIMIT_FACTOR = 3
_LIMIT_EXTRA_S = 10.0
_STALLED_S = 10.0  # over its limit, a run continues while messages arrive with shorter gaps,
_A_MESSAGE_S = 0.02  # but only for so long per message


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The planned length of a run in seconds: `count` messages, `interval` apart, plus `takes`.

    A run that a script controls has no such length: no wait in it lasts longer than `patience_s`
    after the last line.
    """

    count: int
    interval: float
    takes: float
    patience_s: float | None = None

    @property
    def seconds(self) -> float:
        return self.count * self.interval + self.takes

    @property
    def quiet_s(self) -> float:
        """The silence that ends a run in which nothing is outstanding."""
        return max(QUIET_S, 2 * self.interval)

    def limit(self, started: float, progress: float, waiting_since: float) -> float:
        """Return when to give up a run that started then and last progressed at `progress`."""
        if self.patience_s is not None:
            return max(waiting_since, progress) + self.patience_s
        soft = started + _LIMIT_FACTOR * self.seconds + _LIMIT_EXTRA_S
        return max(soft, min(progress + _STALLED_S, soft + _A_MESSAGE_S * self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """A running process that could print; one that `traces` reports each message it handles."""

    place: Place
    traces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Which programs are at the other end of the messages when a run has become silent.

    Attributes:
        living: those that run, and can print something more.
        cut_off: which of them a fault keeps from the senders.
        silent: receivers that may have their turn still, and print nothing: stopped, or cut off.
        ended: receivers that have ended.
        unsent: the numbers that senders printed last which have not finished; they may never have
            been sent.
        spare: how many connections the senders have beside those with living receivers that are not
            cut off; None if that isn't known.
        broken: whether there was a fault.
        silence_s: for how many seconds no program has printed anything.
        resting: receivers that sleep or compute, as their machines say.
    """

    living: Sequence[Living]
    cut_off: Collection[Place] = ()
    silent: Sequence[Place] = ()
    ended: Sequence[Place] = ()
    unsent: Collection[int] = ()
    spare: int | None = None
    broken: bool = False
    silence_s: float = 0.0
    resting: Collection[Place] = ()


def silence_s(plan: Plan, ledger: Ledger, living: Iterable[Living], *, reads: bool) -> float:
    """Return how many seconds of silence end a run, by what is outstanding and what could print it.

    `reads` says whether the experiment reads lines as messages; if it doesn't, every running
    program may print more.
    """
    alive = list(living)
    in_hand = set(ledger.in_hand())
    if any(one.place in in_hand for one in alive):
        return max(plan.quiet_s, AT_WORK_S)
    settled = reads and not ledger.outstanding and ledger.is_exact
    waited_for = [one for one in alive if not settled or one.place in ledger.sources]
    if not waited_for:
        return plan.quiet_s
    slowest = max(
        (ledger.longest_gap(o.place) for o in waited_for if not ledger.traces_receipts(o.place)),
        default=0.0,
    )
    return max(plan.quiet_s, PATIENCE_S, min(_GAPS * slowest, AT_WORK_S))


def may_take_its_time(plan: Plan, ledger: Ledger, living: Iterable[Living], *, reads: bool) -> bool:
    """Return whether a run lasts its planned length despite silence, because of `takes`.

    That is so while a program is at work and only the plan says how long it may need.
    """
    if plan.takes == 0 or (reads and not ledger.outstanding and ledger.is_exact):
        return False
    in_hand = set(ledger.in_hand())
    return any(
        one.place in in_hand or not (one.traces or ledger.traces_receipts(one.place))
        for one in living
    )


def still_open(plan: Plan, ledger: Ledger, ends: "Ends") -> list[Place]:
    """Return the processes that could still have printed a message after the silence.

    A receiver that holds a message is at work on it. For any other, silence proves nothing, unless
    the experiment's `takes` says how long it may need, or it is the long silence of one that had no
    long rest before the fault. But nothing waits for one that has printed a later message; and what
    is outstanding may have gone to receivers that died or fell silent, unless this one is seen to
    rest.
    """
    if not ledger.outstanding:
        return []
    unknown = plan.takes == 0

    def may_take_more(one: Living) -> bool:
        if not ends.broken and not (one.traces or ledger.traces_receipts(one.place)):
            return True
        is_asleep = one.place in ends.resting
        if ends.broken and not is_asleep and _fell_silent(one.place, ledger, ends.silence_s):
            return False
        is_cut_off = one.place in ends.cut_off
        may_wait = ledger.waiting_for(one.place, is_cut_off=is_cut_off)
        waiting = [n for n in may_wait if n not in ends.unsent]
        if is_asleep or is_cut_off:  # then no other explains what it may have in its queue
            return bool(waiting)
        return len(waiting) > _lost_with_others(ledger, ends, waiting)

    return [
        one.place
        for one in ends.living
        if ledger.is_at_work(one.place)
        or (unknown and one.place not in ledger.senders and may_take_more(one))
    ]


def _fell_silent(place: Place, ledger: Ledger, silence_s: float) -> bool:
    return silence_s >= AT_WORK_S >= RESTS * ledger.longest_gap(place)


def _lost_with_others(ledger: Ledger, ends: "Ends", waiting: Sequence[int]) -> int:
    """Return how many messages may have gone to receivers that are silent, each having its turn.

    Where the senders report their connections, no more receivers than those still have theirs.
    """
    living = {one.place for one in ends.living if one.place not in ledger.senders}
    turn = len(living.union(ends.silent, ends.ended))

    def number_of(places: Sequence[Place], *, until_end: bool) -> int:
        return sum(
            any(ledger.may_have_had(place, n, turn, until_end=until_end) for n in waiting)
            for place in places
        )

    silent = number_of(ends.silent, until_end=False)
    connected = silent if ends.spare is None else max(0, ends.spare)
    return min(silent, connected) + number_of(ends.ended, until_end=True)
