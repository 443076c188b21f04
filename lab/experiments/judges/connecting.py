"""Who is connected when, and what that does to the turn: the judges of several experiments' claims.

libzmq deals to its connections in turn (src/lb.cpp, lb_t::sendpipe): after each message the turn
goes one on, and wraps to the first after the last. A new connection is put behind the others
(lb_t::activated). With one connection the turn wraps back to it after each message, so when a
second one comes, the first is served once more before the turn reaches it.
"""

from collections import Counter
from dataclasses import dataclass

from lab.analysis import history
from lab.analysis.history import Handshake, Run
from lab.core.verdict import Verdict

# The least backlog with which a queue may be full: ZMQ_SNDHWM's 1,000, of which the reader may have
# read up to half before it says so (libzmq 4.3.5, src/pipe.cpp, compute_lwm and check_hwm).
_FULL = 500

_NO_BEGINNING = "No second machine connected, or message 0 came nowhere."


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """For how many messages the first machine was alone, until the connection `until`.

    At least `fewest` and at most `most`: they differ where one was dealt so close to it that their
    order can't be told.
    """

    fewest: int
    most: int
    until: Handshake

    def __str__(self) -> str:
        return str(self.most) if self.fewest == self.most else f"{self.fewest} or {self.most}"


def alone(run: Run) -> Alone | None:
    """Return for how many messages the first machine was alone; None if no second one connected."""
    if len(run.handshakes) < 2:
        return None
    second = run.handshakes[1]
    return Alone(
        fewest=sum(t <= second.first.t - run.no_order_s for t in run.dealt.values()),
        most=sum(t < second.last.t + run.no_order_s for t in run.dealt.values()),
        until=second,
    )


def once_all_are_connected(run: Run) -> list[int]:
    """Return the messages that were dealt after the last receiver's connection."""
    machines = len(run.receivers)
    if len(run.handshakes) < machines or machines < 2:
        return []
    return run.dealt_between(run.handshakes[machines - 1].last.t)


def each_gets_some(run: Run) -> Verdict:
    """Each machine got a message, if so many were dealt that all must have had their turn."""
    shares = history.shares(run, run.planned)
    got = {machine for machine, _ in run.received.speakers()}
    idle = [machine for machine in run.receivers if machine not in got]
    if len(run.receivers) > 1 and run.received and not idle:
        return Verdict.holds(f"Each got some: {shares}.")
    if len(once_all_are_connected(run)) < len(run.receivers):
        return Verdict.not_observed(
            f"Too few messages were sent when all were connected: {shares}.",
            events=run.connections,
        )
    return Verdict.refuted(f"{history.joined(idle)} got none: {shares}.", events=run.connections)


def turns_once_all_are_connected(run: Run) -> Verdict:
    """Strict turns over all receivers, from the first message dealt after the last connection.

    Not observed where a machine fell so far behind that its queue may have been full: the turn
    passes over a full one, which says nothing of machines that keep up.
    """
    verdict = history.strict_turns(run, once_all_are_connected(run), run.receivers)
    if verdict.outcome != "refuted" or verdict.messages[0] not in run.dealt:
        return verdict
    wrong = verdict.messages[0]
    waiting = _waiting(run, run.dealt[wrong])
    most = max(waiting, key=lambda machine: waiting[machine], default="")
    if waiting[most] < _FULL:
        return verdict
    return Verdict.not_observed(
        f"When message {wrong} was dealt, {waiting[most]} waited for {most}: its queue may have"
        " been full, and the turn passes over a full one."
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
    if first.fewest == 0 or not _ended(run, row):
        return Verdict.not_observed(
            "The second machine may have connected before message 0 was dealt.",
            events=[first.until.last],
        )
    return Verdict.refuted(
        "The second machine connected after message 0, and yet the first did not get message 1.",
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
    if row > first.most + 1 or (row < first.fewest + 1 and _ended(run, row)):
        return Verdict.refuted(f"{seen}.", messages=range(row + 1), events=[first.until.last])
    if first.fewest < first.most or not _ended(run, row):
        return Verdict.not_observed(f"It can't be told: {seen}.", events=[first.until.last])
    return Verdict.holds(f"{seen}.", messages=range(row), events=run.connections[:2])


def second_was_missing(run: Run) -> Verdict:
    """The second of the first machine's two messages was dealt before another was connected."""
    first = alone(run)
    row = history.first_in_a_row(run)
    if first is None or row != 2 or 1 not in run.dealt:
        return Verdict.not_observed(
            f"The first machine got {row} in a row, not two, so nothing is to explain."
        )
    since = run.dealt[1] - first.until.last.t
    before = first.until.first.t - run.dealt[1]
    if max(since, before) < run.no_order_s:
        return Verdict.not_observed(
            "Message 1 left just when the second machine connected: the order can't be told.",
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
    """Return how many messages had been dealt to each machine, and not received by it, at `t`."""
    taken = {m.number: m.t - run.offsets.get(m.machine, 0.0) for m in run.taken}
    came = {m.number: (m.machine, taken.get(m.number, m.t)) for m in run.received}
    return Counter(
        machine for n, (machine, at) in came.items() if at > t > run.dealt.get(n, float("inf"))
    )


def _ended(run: Run, row: int) -> bool:
    """Whether the message after the first `row` was dealt, and what became of it is known."""
    return row in run.dealt and row <= run.last_known
