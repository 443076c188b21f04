"""When a run ends, and what is still open then: the rules behind docs/when-a-run-ends.md. Pure.

A program that says nothing has lost nothing yet. So silence ends a run only when it lasts longer
than what is still at work may need; and what even then may still come is told as open, not lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lab.engine.ledger import Ledger, Place

QUIET_S = 0.5  # or two intervals: silence that ends a run in which nothing is outstanding
PATIENCE_S = 3.0  # silence that ends a run in which a program could still print what is missing
AT_WORK_S = 10.0  # silence that ends it where a program works, or has been as slow before
_GAPS = 3  # times the longest gap between two lines of a program that traces no receipts

_LIMIT_FACTOR = 3
_LIMIT_EXTRA_S = 10.0
_STALLED_S = 10.0  # a run over its limit goes on while messages come, with no longer gaps,
_A_MESSAGE_S = 0.02  # for so long a message at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long a run is to take, in seconds: `count` messages, `interval` apart, and `takes`."""

    count: int
    interval: float
    takes: float

    @property
    def seconds(self) -> float:
        return self.count * self.interval + self.takes

    @property
    def quiet_s(self) -> float:
        """The silence that ends a run in which nothing is outstanding."""
        return max(QUIET_S, 2 * self.interval)

    def limit(self, started: float, progress: float) -> float:
        """Return when a run is given up that started then, and last came on at `progress`."""
        soft = started + _LIMIT_FACTOR * self.seconds + _LIMIT_EXTRA_S
        return max(soft, min(progress + _STALLED_S, soft + _A_MESSAGE_S * self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Living:
    """A process that runs and could print; one that `traces` reports each message it handles."""

    place: Place
    traces: bool


def silence_s(plan: Plan, ledger: Ledger, living: Iterable[Living], *, reads: bool) -> float:
    """Return how many seconds of silence end a run, by what is outstanding and who could print it.

    `reads` says whether the experiment tells which lines are messages: where it doesn't, every
    program that runs may have more to say.
    """
    alive = list(living)
    in_hand = set(ledger.in_hand())
    if any(one.place in in_hand for one in alive):
        return max(plan.quiet_s, AT_WORK_S)
    settled = reads and not ledger.outstanding and ledger.is_exact
    waited_for = [one for one in alive if not settled or one.place in ledger.senders]
    if not waited_for:
        return plan.quiet_s
    slowest = max(
        (ledger.longest_gap(o.place) for o in waited_for if not ledger.traces_receipts(o.place)),
        default=0.0,
    )
    return max(plan.quiet_s, PATIENCE_S, min(_GAPS * slowest, AT_WORK_S))


def may_take_its_time(plan: Plan, ledger: Ledger, living: Iterable[Living], *, reads: bool) -> bool:
    """Tell whether a run has its planned length whatever silence there is: `takes` says so.

    So it is while one is at work of whom only the plan says how long it needs.
    """
    if plan.takes == 0 or (reads and not ledger.outstanding and ledger.is_exact):
        return False
    in_hand = set(ledger.in_hand())
    return any(
        one.place in in_hand or not (one.traces or ledger.traces_receipts(one.place))
        for one in living
    )


def still_open(
    plan: Plan, ledger: Ledger, living: Iterable[Living], *, broken: bool
) -> list[Place]:
    """Return the processes that could still have printed a message, when all had been silent.

    A receiver that traces its receipts is at work on what it holds, and on nothing else. Of one
    that doesn't, silence says nothing, unless the experiment's `takes` says how long it may need,
    or a fault has hit somebody, which explains what is missing (`broken`).
    """
    if not ledger.outstanding:
        return []
    in_hand = set(ledger.in_hand())
    unknown = not broken and plan.takes == 0
    return [
        one.place
        for one in living
        if one.place in in_hand
        or (
            unknown
            and not one.traces
            and one.place not in ledger.senders
            and not ledger.traces_receipts(one.place)
        )
    ]
