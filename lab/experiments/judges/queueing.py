"""Judges of where messages wait when a worker is busy, shared by several experiments.

The machine that was started first is always the busy one.
"""

import re
from collections import Counter
from collections.abc import Sequence

from pushpull.analysis import history
from pushpull.analysis.history import Run, printed
from pushpull.core.records import Message
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import connecting

_BACKLOG = 5.0  # messages that must wait at the busy one before it differs from the others
_NO_TWO = "Fewer than two machines got a message."


def dealt_alike(run: Run) -> Verdict:
    """Once all were connected, each machine got as many as any other, give or take one."""
    numbers = connecting.once_all_are_connected(run)
    if len(numbers) <= len(run.receivers):
        return Verdict.not_observed("Too few messages were sent while all were connected.")
    text = history.shares(run, numbers)
    shares = Counter(machine for n in numbers for machine in run.takers.get(n, []))
    each = [shares[machine] for machine in run.receivers]
    judged = Verdict.holds if max(each) - min(each) <= 1 else Verdict.refuted
    return judged(f"Of those sent while all were connected: {text}.", messages=numbers)


def _keeps_up(run: Run, slowness: float) -> Verdict | None:
    """The verdict if the busy machine's work, in pauses of the pusher, is too little for a backlog.

    The more machines, the rarer its turn; without a pause there is no work.
    """
    planned = len(run.planned)
    behind = planned / max(1, len(run.receivers)) - planned / slowness
    if run.pause_s > 0 and behind >= _BACKLOG:
        return None
    return Verdict.not_observed("By this pace, count and number of machines none is too busy.")


def waits_at_the_busy_one(run: Run, slowness: float) -> Verdict:
    """When the last message was sent, more were waiting at the busy machine than elsewhere."""
    if idle := _keeps_up(run, slowness):
        return idle
    if len({message.machine for message in run.received}) < 2 or not run.dealt:
        return Verdict.not_observed(_NO_TWO)
    end = max(run.dealt.values())
    waiting = Counter(m.machine for m in run.received if m.t > end + run.no_order_s)
    busy, *others = run.receivers
    each = ", ".join(f"{machine} {waiting[machine]}" for machine in run.receivers)
    judged = (
        Verdict.holds
        if waiting[busy] > 1 + max(waiting[machine] for machine in others)
        else Verdict.refuted
    )
    return judged(f"Waiting when the last was sent: {each}.")


def done_when_the_busy_one_is(run: Run, slowness: float) -> Verdict:
    """The busy machine did the last message, some time after the others had finished."""
    if idle := _keeps_up(run, slowness):
        return idle
    last = _last_done(run.received)
    busy = run.receivers[0] if run.receivers else ""
    if len(last) < 2 or busy not in last or not run.dealt:
        return Verdict.not_observed(_NO_TWO)
    start = min(run.dealt.values())
    each = ", ".join(f"{machine} after {t - start:.1f} s" for machine, t in last.items())
    latest = max(t for machine, t in last.items() if machine != busy)
    judged = Verdict.holds if last[busy] > latest + run.no_order_s else Verdict.refuted
    return judged(f"The last messages were done by {each}.")


def busy_one_gets_less(run: Run, numbers: Sequence[int], slowness: float) -> Verdict:
    """The busy machine got fewer of `numbers` than every other one."""
    if idle := _keeps_up(run, slowness):
        return idle
    arrived = [n for n in numbers if run.takers.get(n)]
    if len(arrived) < 2 * len(run.receivers):
        return Verdict.not_observed("Too few messages arrived.")
    shares = Counter(machine for n in arrived for machine in run.takers[n])
    busy, *others = run.receivers
    fewer = shares[busy] + 1 < min(shares[machine] for machine in others)
    judged = Verdict.holds if fewer else Verdict.refuted
    return judged(f"{history.shares(run, arrived)}.", messages=arrived)


def sooner_when_asked_for(run: Run, slowness: float) -> Verdict:
    """The second half, sent on request, took less time from its first message to its last."""
    if idle := _keeps_up(run, slowness):
        return idle
    count = len(run.planned)
    took = []
    for numbers in (range(count), range(count, 2 * count)):
        sent = [m.t for m in run.sent if m.number in numbers]
        done = [m.t for m in run.received if m.number in numbers]
        if len(sent) < count or len(done) < count:
            return Verdict.not_observed("Not every message arrived both ways.")
        took.append(max(done) - min(sent))
    why = f"In turns the work took {took[0]:.1f} s, on request {took[1]:.1f} s."
    return Verdict.holds(why) if took[1] < took[0] else Verdict.refuted(why)


def within_the_mark(run: Run) -> Verdict:
    """No trial of `fill` sent more than the marks of both ends, plus one in progress."""
    trials = _accepted(run)
    if not trials:
        return Verdict.not_observed("There was no trial.")
    each = "; ".join(text for _, _, text in trials)
    over = [text for mark, accepted, text in trials if accepted > 2 * mark + 1]
    return Verdict.refuted(f"{each}.") if over else Verdict.holds(f"{each}.")


def fewer_accepted(run: Run, *, than: int, trial: int) -> Verdict:
    """One trial of `fill` accepted fewer messages than another."""
    trials = _accepted(run)
    if len(trials) <= max(than, trial):
        return Verdict.not_observed("Not every trial finished.")
    (_, more, one), (_, fewer, other) = trials[than], trials[trial]
    return (Verdict.holds if fewer < more else Verdict.refuted)(f"{one}; then {other}.")


def _accepted(run: Run) -> list[tuple[int, int, str]]:
    """Return for each trial of `fill` the mark, the number of accepted messages, and the line."""
    lines = [record.text or "" for record in printed(run, "fill")]
    found = [(re.fullmatch(r"HWM (\d+), \d+ bytes: (\d+) accepted", text), text) for text in lines]
    return [(int(match[1]), int(match[2]), text) for match, text in found if match]


def _last_done(received: Sequence[Message]) -> dict[str, float]:
    last: dict[str, float] = {}
    for message in received:
        last[message.machine] = max(message.t, last.get(message.machine, 0.0))
    return last
