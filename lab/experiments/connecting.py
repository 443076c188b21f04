"""Who is connected when, and what that does to the turn: the judges of several experiments' claims.

libzmq deals to its connections in turn (src/lb.cpp, lb_t::sendpipe): after each message the turn
goes one on, and wraps to the first after the last. A new connection is put behind the others
(lb_t::activated). With one connection the turn wraps back to it after each message, so when a
second one comes, the first is served once more before the turn reaches it.
"""

from dataclasses import dataclass

from lab import claims
from lab.claims import NO_ORDER_S, Run
from lab.records import Event
from lab.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """The first machine was alone for `messages` messages, until `until`; or that can't be told."""

    messages: int
    until: Event
    certain: bool


def alone(run: Run) -> Alone | None:
    """Return for how many messages the first machine was alone; None if no second one connected."""
    if len(run.connections) < 2:
        return None
    second = run.connections[1]
    return Alone(
        messages=sum(t < second.t for t in run.dealt.values()),
        until=second,
        certain=all(abs(t - second.t) >= NO_ORDER_S for t in run.dealt.values()),
    )


def turns_once_all_are_connected(run: Run) -> Verdict:
    """Strict turns over all receivers, from the first message dealt after the last connection."""
    machines = len(run.receivers)
    if len(run.connections) < machines or machines < 2:
        return Verdict.not_observed(
            f"{len(run.connections)} of {machines} machines were seen to connect.",
            events=run.connections,
        )
    last = run.connections[machines - 1]
    return claims.strict_turns(run, run.dealt_between(last.t), machines)


def pair_at_the_start(run: Run) -> Verdict:
    """The first two messages went to one machine."""
    first = alone(run)
    row = claims.first_in_a_row(run)
    if first is None or row == 0:
        return Verdict.not_observed("No second machine connected, or message 0 came nowhere.")
    if first.certain and first.messages != 1:
        when = "before message 0" if first.messages == 0 else f"after message {first.messages - 1}"
        return Verdict.not_observed(f"The second machine connected {when}.", events=[first.until])
    if row >= 2:
        return Verdict.holds(
            f"{run.takers[0][0]} got the first {row}.", messages=range(row), events=[first.until]
        )
    if not first.certain:
        return Verdict.not_observed(
            "The second machine connected so close to a message that their order can't be told.",
            events=[first.until],
        )
    return Verdict.refuted(
        f"The second machine connected after message 0, and yet got message {row}.",
        messages=range(row + 1),
        events=[first.until],
    )


def one_more_than_alone(run: Run) -> Verdict:
    """The first machine, alone for k messages, got k + 1 in a row (1 when it never was alone)."""
    first = alone(run)
    row = claims.first_in_a_row(run)
    if first is None or row == 0:
        return Verdict.not_observed("No second machine connected, or message 0 came nowhere.")
    if not first.certain:
        return Verdict.not_observed(
            "The second machine connected so close to a message that their order can't be told.",
            events=[first.until],
        )
    k = first.messages
    if k + 1 >= len(run.planned):
        return Verdict.not_observed(f"The first machine was alone for all {k} messages.")
    seen = f"alone for {k}, it got {row} in a row"
    if row != k + 1:
        return Verdict.refuted(f"{run.takers[0][0]} broke it: {seen}.", messages=range(row + 1))
    return Verdict.holds(
        f"{run.takers[0][0]}: {seen}.", messages=range(row), events=run.connections[:2]
    )


def second_was_missing(run: Run) -> Verdict:
    """The last message of the first machine's row was dealt before a second one was connected."""
    first = alone(run)
    row = claims.first_in_a_row(run)
    if first is None or row < 2 or row - 1 not in run.dealt:
        return Verdict.not_observed(
            "No machine got two in a row at the start, so nothing is to explain."
        )
    last = row - 1
    early = run.dealt[last] - first.until.t
    if abs(early) < NO_ORDER_S:
        return Verdict.not_observed(
            f"Message {last} left within {NO_ORDER_S * 1000:.0f} ms of the second connection.",
            events=[first.until],
        )
    if early < 0:
        return Verdict.holds(
            f"Message {last} left {-early:.3f} s before the second machine connected.",
            messages=[last],
            events=[first.until],
        )
    return Verdict.refuted(
        f"The second machine had been connected for {early:.3f} s when message {last} left, and"
        f" still it went to {run.takers[last][0]}: libzmq's turn had wrapped back to the first"
        " connection before the second one was put behind it.",
        messages=range(row),
        events=run.connections[:2],
    )
