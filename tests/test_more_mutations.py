"""Verdicts of the further experiments can fail: the outcome of each claim when things go wrong."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from message_mutations import (
    dealt,
    done,
    goes_to,
    lost,
    mapped,
    messages_of,
    says,
    shuffled,
    twice,
    without,
)
from mutations import Mutation
from story import MARKS, outcomes

from pushpull.analysis.history import Run
from pushpull.core.records import Message, Record
from pushpull.experiments.judges.line_formats import read
from pushpull.experiments.judges.turns import _spans, last_takes_its_place, others_move_up
from pushpull.runs.store import StoredRun, load

RECORDED = Path(__file__).parent / "recorded_more"


def keeping_order(run: StoredRun) -> StoredRun:
    """Between the changes the messages go round as if those that stay kept their order."""
    seen = Run(run, read)
    for real, guessed in zip(
        _spans(seen, last_takes_its_place), _spans(seen, others_move_up), strict=True
    ):
        instead = dict(zip(real.turn, guessed.turn, strict=True))

        def change(
            record: Record,
            message: Message,
            numbers: Sequence[int] = real.numbers,
            instead: dict[tuple[str, str], tuple[str, str]] = instead,
        ) -> list[Record]:
            if message.number not in numbers:
                return [record]
            machine, process = instead[message.machine, message.process]
            return [replace(record, machine=machine, process=process)]

        run = mapped(run, change, "received", "taken")
    return run


def thrown_out(run: StoredRun) -> StoredRun:
    """The pusher's library ends the first connection a second after it was made."""
    first = next(e for e in run.events if e.event == "connected" and e.machine == "push")
    end = replace(first, event="disconnected", t=first.t + 1)
    return replace(run, events=(*run.events, end))


def accepting(*numbers: int) -> Mutation:
    """The trials of `fill` accept so many messages."""

    def mutate(run: StoredRun) -> StoredRun:
        left = list(numbers)
        records = [
            replace(r, text=re.sub(r": \d+", f": {left.pop(0)}", r.text))
            if r.text and r.stream == "stdout" and r.process.startswith("fill")
            else r
            for r in run.records
        ]
        return replace(run, records=tuple(records))

    return mutate


def all_come(run: StoredRun) -> StoredRun:
    """Every message that was sent is printed by the worker."""
    messages = messages_of(run)
    came = {m.number for _, m in messages if m and m.kind == "received"}
    some = next(r for r, m in messages if m and m.kind == "received")
    missing = [m.number for _, m in messages if m and m.kind == "dealt" and m.number not in came]
    more = (replace(some, text=f"{number} , 1.5") for number in missing)
    return replace(run, records=(*run.records, *more))


def in_order(run: StoredRun) -> StoredRun:
    """The sink prints the same lines sorted by their numbers."""
    sink = [r for r, m in messages_of(run) if m and m.kind == "received"]
    texts = sorted((r.text or "" for r in sink), key=lambda text: int(text.split()[0]))
    instead = {(r.machine, r.n): text for r, text in zip(sink, texts, strict=True)}

    def change(record: Record, message: Message) -> list[Record]:
        return [replace(record, text=instead[record.machine, record.n])]

    return mapped(run, change, "received")


def service_does_it(seconds: float | None) -> Mutation:
    """The service's second life does the request so long after its start; or never."""

    def mutate(run: StoredRun) -> StoredRun:
        back = next(event.t for event in run.events if event.event == "repair")
        again = [r for r in run.records if (r.process, r.text) == ("answer.2", "done 2")]
        others = tuple(r for r in run.records if r not in again)
        early = tuple(replace(r, t=back + seconds) for r in again) if seconds else ()
        return replace(run, records=tuple(sorted((*others, *early), key=lambda r: r.t)))

    return mutate


SLOW, FAST = ("pull-1", "pull"), ("pull-2", "pull")

# For each experiment the marks of its claims, in its order, as recorded and after mutations:
# + holds, X refuted, ? not observed.
TABLE: dict[str, dict[str, tuple[Mutation, str]]] = {
    "ten_workers": {
        "none": (lost(), "++++"),
        "a message is lost": (lost(195), "X++X"),
        "two change places": (shuffled(190, 191), "X+++"),
        "one gets too many": (goes_to(*SLOW, range(150, 200)), "X+X+"),
        "the second gets message 0": (goes_to(*FAST, range(1)), "+X++"),
        "nobody connects": (without("connected"), "???+"),
    },
    "heartbeat": {
        "none": (lost(), "++"),
        "a worker is thrown out": (thrown_out, "X?"),
        "a message is lost": (lost(20), "+X"),
        "a message comes twice": (twice(20), "+X"),
        "nobody connects": (without("connected"), "?+"),
    },
    "leaving_the_turn": {
        "none": (lost(), "+X+"),
        "two change places": (shuffled(140, 141), "XX+"),
        "one gets too many": (goes_to("pull-2", "pull.3", range(120, 150)), "XXX"),
        "those that stay keep their order": (keeping_order, "X++"),
        "the kill isn't seen": (without("disconnected"), "???"),
    },
    "busy_worker": {
        "none": (lost(), "++++"),
        "the idle one gets more": (goes_to(*FAST, range(20, 55)), "XX++"),
        "the busy one keeps up": (done(-3, "pull-1", range(30, 60)), "+X++"),
        "the busy one is first": (done(-5, "pull-1"), "+XX+"),
        "a message is lost": (lost(30), "+++X"),
    },
    "ask_for_work": {
        "none": (lost(), "+++"),
        "the busy one gets as many": (goes_to("pull-1", "worker", range(60, 90)), "X++"),
        "asked for takes longer": (done(9, "pull-2", range(110, 120)), "+X+"),
        "a message is lost": (lost(100), "+?X"),
    },
    "full_worker": {
        "none": (lost(), "++"),
        "the busy one gets as many": (goes_to(*SLOW, range(30, 60)), "X+"),
        "a message is lost": (lost(30), "+X"),
    },
    "high_water_mark": {
        "none": (lost(), "X++"),
        "the limit is kept": (accepting(3, 2, 1), "+++"),
        "the size does not count": (accepting(5000, 6000, 5), "XX+"),
        "the buffers do not count": (accepting(5000, 30, 30), "X+X"),
        "no report": (says("HWM", ""), "???"),
    },
    "no_worker": {
        "none": (lost(), "++"),
        "send does not block": (dealt(range(1), -1), "X+"),
        "a message is lost": (lost(0), "+X"),
    },
    "restart_pusher": {
        "none": (lost(), "++"),
        "one does not come back": (goes_to(*FAST, range(20, 40)), "X+"),
        "a message is lost": (lost(30), "+X"),
        "a message comes twice": (twice(30), "+X"),
    },
    "two_pushers": {
        "none": (lost(), "+++"),
        "two change places": (shuffled(10, 11), "X++"),
        "one serves one only": (goes_to(*FAST, range(20, 40)), "XX+"),
        "a message is lost": (lost(30), "X+X"),
    },
    "pusher_first": {
        "none": (lost(), "+++"),
        "the second gets message 1": (goes_to(*FAST, range(1, 2)), "X++"),
        "two change places": (shuffled(30, 31), "+X+"),
        "a message comes twice": (twice(30), "++X"),
    },
    "no_pause": {
        "none": (lost(), "++"),
        "one goes elsewhere": (goes_to(*FAST, range(3, 4)), "++"),
        "it goes the other way": (goes_to(*SLOW, range(3, 4)), "X+"),
        "a message is lost": (lost(3), "+X"),
    },
    "patient_pusher": {
        "none": (lost(), "++"),
        "two change places": (shuffled(3, 4), "X+"),
        "they connect late": (without("connected"), "?+"),
        "a message is lost": (lost(3), "XX"),
    },
    "pusher_binds": {
        "none": (lost(), "++"),
        "send does not block": (dealt(range(8, 12), -0.6), "X+"),
        "a message is lost": (lost(15), "+X"),
        "it is never back": (without("repair", "connected"), "?+"),
    },
    "pusher_connects": {
        "none": (lost(), "+++"),
        "send blocks": (dealt(range(8, 20), 5), "X?+"),
        "what waited is lost": (lost(10, 11), "+X+"),
        "a message comes twice": (twice(10), "++X"),
    },
    "absent_worker": {
        "none": (lost(), "++"),
        "all go to the present one": (goes_to(*SLOW, range(20)), "X+"),
        "what waited is lost": (lost(*range(1, 20, 2)), "XX"),
        "a message is lost": (lost(2), "+X"),
    },
    "immediate": {
        "none": (lost(), "+"),
        "the absent one gets one": (goes_to(*FAST, range(5, 6)), "X"),
        "a message is lost": (lost(5), "X"),
    },
    "slow_joiner": {
        "none": (lost(), "+++"),
        "the early one gets the start": (says("12 , ", "0 , "), "?XX"),
        "it gets what is long gone": (
            lambda run: dealt(range(1), -0.6)(says("12 , ", "0 , ")(run)), "XXX",
        ),
        "the late one gets the start": (goes_to("pull-2", "subscribe", range(1, 3)), "+XX"),
        "one has a gap": (lost(30), "++X"),
    },
    "lost_reply": {
        "none": (lost(), "++++"),
        "it can ask again": (says("can't ask 2 again: EFSM", ""), "+X++"),
        "it is sent again by itself": (service_does_it(0.1), "X+++"),
        "the work is done once": (service_does_it(None), "++X+"),
        "a reply is lost": (says("reply to 4", ""), "+++X"),
        "the service is not back": (without("repair"), "?+++"),
        "nobody gives up": (says("ask 2 on a new socket", ""), "?+?+"),
    },
    "pipeline": {
        "none": (lost(), "++X"),
        "a message is lost": (lost(30), "X+X"),
        "a message comes twice": (twice(30), "X+X"),
        "the sink gets them in order": (in_order, "+++"),
        "one worker does nothing": (
            lambda run: replace(run, records=tuple(
                r for r in run.records if (r.machine, r.process) != ("pull-1", "step"))), "+XX"),
    },
    "last_messages": {
        "none": (lost(), "+X+++"),
        "a closer loses one": (lost(40), "XX+++"),
        "every message comes": (all_come, "++XXX"),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("experiment", "name"), [(e, name) for e, rows in TABLE.items() for name in rows]
)
def test_a_mutation_turns_these_claims(experiment: str, name: str) -> None:
    mutation, marks = TABLE[experiment][name]
    found = outcomes(mutation(load(RECORDED / experiment)), experiment)
    assert "".join(MARKS[outcome] for outcome in found.values()) == marks


@pytest.mark.parametrize("experiment", TABLE)
def test_some_mutation_turns_each_claim(experiment: str) -> None:
    (_, clean), *others = TABLE[experiment].values()
    turned = {"+": "X", "X": "+"}
    for k, mark in enumerate(clean):
        assert any(marks[k] == turned[mark] for _, marks in others), (experiment, k)
