"""Judges of whose turn it is when workers come and go, and the rules of the turn.

libzmq keeps its connections in an array (src/lb.cpp). A new one joins at the end (lb_t::attach and
activated, lines 18 and 44). One that ends is swapped with the last, then removed
(lb_t::pipe_terminated, line 24): so the last of the turn takes its slot. That happens only after
the next send: a pipe ends in two steps, each of which waits until the socket processes its commands
(src/pipe.cpp, lines 313-321 and 345: process_pipe_term, then process_pipe_term_ack).
"""

import itertools
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pushpull.analysis.history import Run
from pushpull.core.records import Event
from pushpull.core.verdict import Verdict
from pushpull.engine.processes import Process
from pushpull.engine.scenario import Lab
from pushpull.experiments.judges import leaving

Worker = tuple[str, str]  # machine and process
Turn = tuple[Worker, ...]
Rule = Callable[[Turn, Worker], Turn]  # the new turn when a worker leaves


def last_takes_its_place(turn: Turn, leaver: Worker) -> Turn:
    """Return the turn after a worker left, according to libzmq's source."""
    *rest, last = turn
    return tuple(last if worker == leaver else worker for worker in rest)


def others_move_up(turn: Turn, leaver: Worker) -> Turn:
    """Return the turn after a worker left, as most people would guess."""
    return tuple(worker for worker in turn if worker != leaver)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A worker that came or left; messages before `first` precede it, those after `last` follow."""

    worker: Worker
    left: bool
    first: float
    last: float
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time between two changes: the turn according to a rule, and the messages sent."""

    turn: Turn
    numbers: Sequence[int]
    change: Change


def one_after_another(lab: Lab, count: int) -> list[Process]:
    """Start workers on the pullers, each after the previous one has got a message."""
    machines = lab.machines("puller")
    workers: list[Process] = []
    for k in range(count):
        workers += lab.start("pull", on=machines[k % len(machines)], to="pusher")
        lab.first(workers[-1:], prints=lambda _: True)
    return workers


def follow(run: Run, rule: Rule) -> Verdict:
    """Between all changes the messages followed the turn that the rule predicts."""
    spans = _spans(run, rule)
    if len(spans) < 2:
        return Verdict.not_observed("No two workers came or left while messages were sent.")
    receivers = {message.number: (message.machine, message.process) for message in run.received}
    for span in spans:
        following = dict(zip(span.turn, (*span.turn[1:], *span.turn[:1]), strict=True))
        for before, number in itertools.pairwise(span.numbers):
            due = following.get(receivers.get(before, ("", "")))
            actual = receivers.get(number)
            if actual is not None and actual in _newcomers(spans, span):
                why = f"{_letter(spans, actual)} got message {number} before it was reported."
                return Verdict.not_observed(why)
            if due != actual or due is None:
                return Verdict.refuted(
                    f"{_in_letters(spans, span)}: message {number} went to"
                    f" {_letter(spans, actual)} after {_letter(spans, receivers.get(before))}.",
                    messages=[before, number],
                    events=[span.change.event],
                )
    short = [span for span in spans[-1:] if len(span.numbers) <= len(span.turn)]
    short += [s for s in spans if s.change.left and len(s.numbers) <= len(s.turn)]
    if short:
        why = f"{_in_letters(spans, short[0])}: too few messages to decide."
        return Verdict.not_observed(why)
    return Verdict.holds(
        f"{_in_letters(spans)}.",
        messages=[number for span in spans for number in span.numbers],
        events=[span.change.event for span in spans],
    )


def keep_their_order(run: Run) -> Verdict:
    """After each leaving the others were served in the same order as before, as observed.

    That is asked of no rule: where a newcomer joins makes no difference.
    """
    spans = _spans(run, others_move_up)
    receivers = {message.number: (message.machine, message.process) for message in run.received}
    judged: list[Span] = []
    for before, after in itertools.pairwise(spans):
        if not after.change.left:
            continue
        old = _served(before, receivers)
        new = _served(after, receivers)
        if old is None or new is None:
            why = f"{_in_letters(spans, after)}: too few messages to decide."
            return Verdict.not_observed(why)
        expected = tuple(worker for worker in old if worker != after.change.worker)
        if _begun_with(new, expected[0]) != expected:
            names = ["".join(_letter(spans, w) for w in each) for each in (expected, new)]
            return Verdict.refuted(
                f"When {_letter(spans, after.change.worker)} had left, the order of the others was"
                f" {_from_first(names[1])} instead of {_from_first(names[0])}.",
                messages=after.numbers,
                events=[after.change.event],
            )
        judged.append(after)
    if not judged:
        return Verdict.not_observed("No worker left while messages were sent.")
    return Verdict.holds(
        f"{len(judged)} left, and the others were served in the same order as before.",
        messages=[number for span in judged for number in span.numbers],
        events=[span.change.event for span in judged],
    )


def _served(span: Span, receivers: Mapping[int, Worker]) -> Turn | None:
    """Return in which order the workers were served at the end of a span; None if unclear."""
    last = tuple(receivers[n] for n in span.numbers[-len(span.turn) :] if n in receivers)
    return last if set(last) == set(span.turn) and len(last) == len(span.turn) else None


def _newcomers(spans: Sequence[Span], span: Span) -> set[Worker]:
    """Return the workers that joined only after a span."""
    k = spans.index(span) + 1
    known = {worker for one in spans[:k] for worker in one.turn}
    return {worker for one in spans[k:] for worker in one.turn} - known


def _begun_with(turn: Turn, worker: Worker) -> Turn:
    k = turn.index(worker)
    return (*turn[k:], *turn[:k])


def _from_first(letters: str) -> str:
    """Return the order of a turn, begun with its first letter in the alphabet."""
    k = letters.index(min(letters))
    return letters[k:] + letters[:k]


def equal_shares(run: Run) -> Verdict:
    """After the last change, all remaining workers got equally many, give or take one."""
    spans = _spans(run, last_takes_its_place)
    if not spans or len(spans[-1].numbers) <= len(spans[-1].turn):
        return Verdict.not_observed("Too few messages were sent after the last change.")
    numbers = set(spans[-1].numbers)
    count = Counter((m.machine, m.process) for m in run.received if m.number in numbers)
    shares = [count[worker] for worker in spans[-1].turn]
    each = ", ".join(sorted(f"{_letter(spans, worker)} {count[worker]}" for worker in count))
    judged = Verdict.holds if max(shares) - min(shares) <= 1 else Verdict.refuted
    return judged(f"Of the last {len(numbers)}: {each}.", messages=sorted(numbers))


def _spans(run: Run, rule: Rule) -> list[Span]:
    changes = _changes(run)
    spans: list[Span] = []
    turn: Turn = ()
    for k, change in enumerate(changes):
        turn = rule(turn, change.worker) if change.left else (*turn, change.worker)
        end = changes[k + 1].first if k + 1 < len(changes) else float("inf")
        numbers = run.dealt_between(change.last, end)
        # The first message after a worker left may still follow the old turn.
        numbers = numbers[1:] if change.left else numbers
        spans.append(Span(turn=turn, numbers=numbers, change=change))
    return spans


def _changes(run: Run) -> list[Change]:
    """Return the changes in order; none if their times or their order are unclear."""
    changes = []
    if any(shake.own.machine in run.senders for shake in run.handshakes):
        return []  # a receiver doesn't report its connection, so whose it is isn't known
    for shake in run.handshakes:
        own = shake.own
        worker = (own.machine, own.process)
        changes.append(
            Change(worker=worker, left=False, first=shake.first.t, last=shake.last.t, event=own)
        )
    ends = run.at_the_source("disconnected")
    for fault in run.events("fault"):
        ordered = leaving.ordered(fault)
        seen = next((e for e in ends if e.t >= ordered - run.no_order_s), None)
        if seen is None or not fault.details["verified"]:
            return []
        worker = (fault.machine, fault.process)
        last = max(seen.t, fault.t)
        changes.append(Change(worker=worker, left=True, first=ordered, last=last, event=fault))
    changes.sort(key=lambda change: change.first)
    clear = all(a.last + run.no_order_s < b.first for a, b in itertools.pairwise(changes))
    return changes if clear else []


def _in_letters(spans: Sequence[Span], until: Span | None = None) -> str:
    """Return the turns in letters: `ABCDEF, B leaves: AFCDE`; first arrivals are grouped."""
    text = ""
    for span, following in zip(spans, (*spans[1:], None), strict=True):
        turn = "".join(_letter(spans, worker) for worker in span.turn)
        who = _letter(spans, span.change.worker)
        if span.change.left or any(earlier.change.left for earlier in spans[: spans.index(span)]):
            text += f", {who} {'leaves' if span.change.left else 'joins'}: {turn}"
        elif following is None or following.change.left or span is until:
            text = turn
        if span is until:
            break
    return text


def _letter(spans: Sequence[Span], worker: Worker | None) -> str:
    """Return a worker's letter: A connected first."""
    joined = [span.change.worker for span in spans if not span.change.left]
    if worker is None:
        return "nobody"
    return string.ascii_uppercase[joined.index(worker) % 26] if worker in joined else worker[0]
