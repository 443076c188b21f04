"""What most claims share, as pure functions of a run: predicates, and the lines of a program."""

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Concatenate, ParamSpec

from pushpull.analysis.handshakes import REPORT_LATE_S, Handshake
from pushpull.analysis.line_readers import is_life
from pushpull.analysis.run import Run
from pushpull.core.clock import NO_ORDER_S
from pushpull.core.records import Record
from pushpull.core.verdict import Outcome, Verdict
from pushpull.core.wording import counted, joined, listed, sentence

__all__ = [
    "NO_ORDER_S", "REPORT_LATE_S", "Handshake", "Run", "all_taken", "exactly_once",
    "first_in_a_row", "joined", "listed", "never_twice", "printed", "shares",
    "strict_turns",
]  # fmt: skip

_P = ParamSpec("_P")


def _on_each_hop(
    judge: Callable[Concatenate[Run, _P], Verdict],
) -> Callable[Concatenate[Run, _P], Verdict]:
    """Let a judge judge each hop of a pipeline for itself: it is refuted if one of them is."""

    @functools.wraps(judge)
    def judged(run: Run, /, *args: _P.args, **flags: _P.kwargs) -> Verdict:
        if len(run.hops) == 1:
            return judge(run, *args, **flags)
        found = [(str(hop), judge(hop, *args, **flags)) for hop in run.hops]
        outcomes = [verdict.outcome for _, verdict in found]
        worst = next((o for o in (Outcome.REFUTED, Outcome.NOT_OBSERVED) if o in outcomes), None)
        told = [(way, verdict) for way, verdict in found if worst in (None, verdict.outcome)]
        return replace(
            told[0][1],
            why=" ".join(f"{way.capitalize()}: {verdict.why}" for way, verdict in told),
            messages=sorted({number for _, verdict in told for number in verdict.messages}),
            final=any(verdict.final for _, verdict in told),
        )

    return judged


@_on_each_hop
def exactly_once(run: Run, numbers: Sequence[int]) -> Verdict:
    """Each of `numbers` was sent once and printed by one machine once, and nothing else was.

    A message was sent if its sender printed it, or traced that its send returned.
    """
    from pushpull.analysis import vectors

    printed = vectors.Index(vectors.column(run.sent.numbers))
    sent, takers = run.said_sent, run.takers
    wanted, received = vectors.column(numbers), takers.index
    unsent = vectors.plain(wanted[~sent.has(wanted)])
    known = sent.unique[sent.unique <= run.last_known]
    strange = [] if run.cut else vectors.plain(received.unique[~sent.has(received.unique)])
    problems = {
        "never sent": unsent if run.sent_all else [],
        "sent twice": vectors.plain(printed.unique[printed.counts > 1]),
        "received by nobody": vectors.plain(known[~received.has(known)]),
        "received twice": takers.twice,
        "received but never sent": strange,
    }
    found = {name: sorted(wrong) for name, wrong in problems.items() if wrong}
    if found:
        why = "; ".join(f"{listed(wrong)} {_was(wrong)} {name}" for name, wrong in found.items())
        return Verdict.refuted(
            sentence(why),
            messages=sorted({n for w in found.values() for n in w}),
            final=found.keys() <= {"sent twice", "received twice"},
        )
    if unsent:
        return Verdict.not_observed(f"The sender did not get to send {listed(unsent)}.")
    if not numbers:
        return Verdict.not_observed("No message was sent.")
    if missing := vectors.plain(wanted[~received.has(wanted)]):
        return Verdict.not_observed(f"Whether {listed(missing)} arrived is not known.")
    why = (
        f"{counted(len(numbers), 'message')} arrived, each at one machine: {shares(run, numbers)}."
    )
    return Verdict.holds(why, messages=numbers)


@_on_each_hop
def never_twice(run: Run) -> Verdict:
    """No receiver printed a message a second time."""
    twice = run.takers.twice
    if twice:
        return Verdict.refuted(
            sentence(f"{listed(twice)} {_was(twice)} received more than once"),
            messages=twice,
            final=True,
        )
    if not run.received:
        return Verdict.not_observed("No message was received.")
    return Verdict.holds(f"{counted(len(run.takers), 'message')} arrived, none of them twice.")


def all_taken(run: Run, numbers: Sequence[int], *, by: Sequence[str]) -> Verdict:
    """Each of `numbers` was printed by one of the machines `by`."""
    taken = run.takers.taken_by(numbers, by)
    missed = [n for n, is_taken in zip(numbers, taken, strict=True) if not is_taken]
    if missed:
        lost = [n for n in missed if n not in run.takers]
        elsewhere = [n for n in missed if n in run.takers]
        places = sorted({machine for n in elsewhere for machine in run.takers[n]})
        parts = [f"{listed(elsewhere)} went to {joined(places)}"] if elsewhere else []
        parts += [f"{listed(lost)} never arrived"] if lost else []
        return Verdict.refuted(sentence("; ".join(parts)), messages=missed)
    count = run.takers.count_by_machine(numbers)
    to = [machine for machine in by if count.get(machine)]
    return Verdict.holds(sentence(f"{listed(numbers)} went to {joined(to)}"), messages=numbers)


def strict_turns(run: Run, numbers: Sequence[int], machines: Sequence[str]) -> Verdict:
    """Those of `numbers` that were sent went to all the machines in turns that never change."""
    run = next((hop for hop in run.hops if set(machines) <= set(hop.receivers)), run)
    numbers = run.known_sent(numbers)
    size = len(machines)
    if len(numbers) <= size:
        many = counted(len(numbers), "message")
        return Verdict.not_observed(
            f"{many} {_was(numbers)} sent when all {size} machines were connected: too few to"
            " decide."
        )
    from pushpull.analysis import vectors

    names = [*run.takers.machines, "nobody"]
    order = run.takers.first_of(numbers)
    turn = [names[k] for k in order[:size]]
    if set(turn) != set(machines):
        return Verdict.refuted(
            sentence(
                f"{listed(numbers[:size])} went to {joined(turn)}, not to all {size} machines"
            ),
            messages=numbers[:size],
        )
    wrong = vectors.not_in_turn(order, size)
    if wrong:
        i = wrong[0]
        return Verdict.refuted(
            f"Message {numbers[i]} went to {names[order[i]]}, though it was {turn[i % size]}'s"
            f" turn.{_if_sent_otherwise(run)}",
            messages=[numbers[i] for i in wrong],
        )
    return Verdict.holds(
        f"From message {numbers[0]} on the turn is {', '.join(turn)}.", messages=numbers
    )


def _if_sent_otherwise(run: Run) -> str:
    """Return a sentence if the only sender did not send each number once, in rising order."""
    from pushpull.analysis import vectors

    if len(run.sent.speakers()) != 1 or vectors.is_rising(vectors.column(run.sent.numbers)):
        return ""
    return (
        " Turns are counted by the numbers, and the sender did not send these in order, once each."
    )


def first_in_a_row(run: Run) -> int:
    """Return how many messages from 0 on went to the machine that got message 0."""
    from pushpull.analysis import vectors

    takers = run.hops[0].takers
    first = takers.get(0)
    return vectors.rising_from_zero(takers.came_to(first[0])) if first else 0


def shares(run: Run, numbers: Iterable[int]) -> str:
    """Return each receiver's number of messages, as `host-1 10, host-2 10`."""
    count = run.takers.count_by_machine(numbers)
    # Of replies only machines that send get any; a machine may also send and receive.
    machines = run.receivers if any(map(count.get, run.receivers)) else []
    machines = [*machines, *sorted(m for m in count if count[m] and m not in machines)]
    return ", ".join(f"{machine} {count.get(machine, 0)}" for machine in machines or sorted(count))


def _was(numbers: Sequence[int]) -> str:
    return "was" if len(numbers) == 1 else "were"


def printed(run: Run, program: str) -> list[Record]:
    """Return the lines that all lives of a program printed on stdout, in the order of capture."""
    return [
        record
        for record in run.records
        if record.stream == "stdout" and is_life(record.process, program)
    ]
