"""Judges of how connections affect the turn, shared by several experiments.

libzmq sends to its connections in turn (src/lb.cpp, lb_t::sendpipe): after each message the turn
moves to the next connection, and after the last it wraps to the first. A new connection joins at
the end (lb_t::activated). With a single connection, the turn wraps back to it after each message;
so when a second one joins, the first is served once more before the turn reaches the second.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pushpull.analysis import history
from pushpull.analysis.history import Handshake, Run
from pushpull.core import wording
from pushpull.core.verdict import Verdict

# The least backlog at which a queue may be full: ZMQ_SNDHWM's 1,000, of which the reader may have
# read up to half before it reports that (libzmq 4.3.5, src/pipe.cpp, compute_lwm and check_hwm).
_FULL = 500

_NO_BEGINNING = "No second machine connected, or message 0 did not arrive."


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """The number of messages sent while the first machine was alone, until the connection `until`.

    By the time of the reports it is at least `fewest` and at most `most`: they differ if a message
    was sent so close to the connection that their order is unknown. Even if reports were late, it
    is at least `certain` and at most `possible`.
    """

    certain: int
    fewest: int
    most: int
    possible: int
    until: Handshake

    def __str__(self) -> str:
        return str(self.most) if self.fewest == self.most else f"{self.fewest} or {self.most}"


def alone(run: Run) -> Alone | None:
    """Return how many messages were sent to a lone machine; None if no second one connected."""
    if len(run.handshakes) < 2:
        return None
    second = run.handshakes[1]
    surely_later = run.dealt_between(second.last.t)
    return Alone(
        certain=run.dealt.until(second.not_before),
        fewest=run.dealt.until(second.first.t - run.no_order_s),
        most=run.dealt.until(math.nextafter(second.last.t + run.no_order_s, 0.0)),
        possible=surely_later[0] if surely_later else len(run.planned),
        until=second,
    )


def once_all_are_connected(run: Run) -> Sequence[int]:
    """Return the messages that were sent after the last receiver had connected."""
    machines = len(run.receivers)
    if len(run.handshakes) < machines or machines < 2:
        return range(0)
    return run.dealt_between(run.handshakes[machines - 1].last.t)


def each_gets_some(run: Run) -> Verdict:
    """Each machine got a message, if enough were sent for all to have their turn."""
    shares = history.shares(run, run.planned)
    got = {machine for machine, _ in run.received.speakers()}
    idle = [machine for machine in run.receivers if machine not in got]
    if len(run.receivers) > 1 and run.received and not idle:
        return Verdict.holds(f"Each machine received some: {shares}.")
    if len(run.receivers) < 2:
        return Verdict.not_observed("Fewer than two machines could receive: there was no division.")
    if len(once_all_are_connected(run)) < len(run.receivers):
        return Verdict.not_observed(
            f"Too few messages were sent while all were connected: {shares}.",
            events=run.connections,
        )
    return Verdict.refuted(
        f"{wording.joined(idle)} received none: {shares}.", events=run.connections
    )


def turns_once_all_are_connected(run: Run) -> Verdict:
    """Strict turns over all receivers, from the first message sent after the last connection.

    Not observed if a machine fell so far behind that its queue may have been full: the turn skips
    a full queue, which says nothing about machines that keep up.
    """
    return unless_full(run, history.strict_turns(run, once_all_are_connected(run), run.receivers))


def unless_full(run: Run, verdict: Verdict) -> Verdict:
    """Return a verdict on turns, unless a full queue may be why it was refuted."""
    if verdict.outcome != "refuted" or verdict.messages[0] not in run.dealt:
        return verdict
    wrong = verdict.messages[0]
    waiting = _waiting(run, run.dealt[wrong])
    most = max(waiting, key=lambda machine: waiting[machine], default="")
    if waiting[most] < _FULL:
        return verdict
    return Verdict.not_observed(
        f"When message {wrong} was sent, {waiting[most]} were waiting for {most}: its queue may"
        " have been full, and the turn skips a full queue."
    )


def pair_at_the_start(run: Run) -> Verdict:
    """The first two messages went to one machine, if a second one connected between them."""
    first = alone(run)
    row = history.first_in_a_row(run)
    if first is None or row == 0:
        return Verdict.not_observed(_NO_BEGINNING)
    if not first.fewest <= 1 <= first.most:
        when = f"after message {first.fewest - 1}" if first.fewest else "before message 0"
        return Verdict.not_observed(
            f"The second machine connected {when}, not between 0 and 1.", events=[first.until.last]
        )
    if row >= 2:
        return Verdict.holds(
            f"{run.takers[0][0]} got the first {row}.",
            messages=range(row),
            events=[first.until.last],
        )
    if first.certain == 0 or not _ended(run, row):
        return Verdict.not_observed(
            "The second machine may have connected before message 0 was sent.",
            events=[first.until.last],
        )
    return Verdict.refuted(
        "The second machine connected after message 0, yet the first did not get message 1.",
        messages=range(row + 1),
        events=[first.until.last],
    )


def one_more_than_alone(run: Run) -> Verdict:
    """The first machine, alone for k messages, got k + 1 in a row (1 when it never was alone)."""
    first = alone(run)
    row = history.first_in_a_row(run)
    if first is None or row == 0:
        return Verdict.not_observed(_NO_BEGINNING)
    seen = f"{run.takers[0][0]} was alone for {first}, and got {row} in a row"
    if row > first.possible + 1 or (row < first.certain + 1 and _ended(run, row)):
        return Verdict.refuted(f"{seen}.", messages=range(row + 1), events=[first.until.last])
    if first.fewest < first.most or row != first.most + 1 or not _ended(run, row):
        return Verdict.not_observed(
            f"This run does not decide it: {seen}.", events=[first.until.last]
        )
    return Verdict.holds(f"{seen}.", messages=range(row), events=run.connections[:2])


def second_was_missing(run: Run) -> Verdict:
    """The second of the first machine's two messages was sent before another one connected."""
    first = alone(run)
    row = history.first_in_a_row(run)
    if first is None or row != 2 or 1 not in run.dealt:
        return Verdict.not_observed(
            f"The first machine got {row} in a row, not two, so there is nothing to explain."
        )
    since = run.dealt[1] - first.until.last.t
    before = first.until.first.t - run.dealt[1]
    certainly_later = 1 in run.dealt_between(first.until.last.t)  # its report may be late
    if not certainly_later and before < run.report_late_s:
        return Verdict.not_observed(
            "Message 1 left just when the second machine connected: their order is unknown.",
            events=[first.until.last],
        )
    if before > 0:
        return Verdict.holds(
            f"Message 1 left {before:.3f} s before the second machine connected.",
            messages=[1],
            events=[first.until.last],
        )
    return Verdict.refuted(
        f"The second machine had been connected for {since:.3f} s when message 1 left, and"
        f" still it went to {run.takers[1][0]}: libzmq's turn had wrapped back to the first"
        " connection before the second one was put behind it.",
        messages=range(2),
        events=run.connections[:2],
    )


def _waiting(run: Run, t: float) -> Counter[str]:
    """Return how many messages had been sent to each machine, but not yet received, at time `t`."""
    from pushpull.analysis import vectors
    from pushpull.analysis.by_number import Times

    received, taken = run.received, run.taken
    traced = Times(
        *vectors.last_by_number(vectors.column(taken.numbers), run.our_times(taken)),
    )
    index, captured = vectors.last_by_number(
        vectors.column(received.numbers), vectors.floats(received.ts)
    )
    numbers = index.unique
    was_sent = run.dealt.index.has(numbers) & (run.dealt.at(numbers, captured) < t)
    came_later = traced.at(numbers, captured) > t
    return Counter(run.takers.count_by_machine(numbers[was_sent & came_later]))


def _ended(run: Run, row: int) -> bool:
    """Whether the message after the first `row` was sent, and its fate is known."""
    return row in run.dealt and row <= run.last_known
