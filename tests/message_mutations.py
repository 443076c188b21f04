"""Mutations of recorded runs, message by message: which machine gets what, when, how often."""

import json
from collections.abc import Callable
from dataclasses import replace

from mutations import Mutation

from pushpull.core.records import Message, Record
from pushpull.experiments import catalogue
from pushpull.runs.store import StoredRun


def messages_of(run: StoredRun) -> list[tuple[Record, Message | None]]:
    reads = catalogue.load(str(run.description["experiment"])).reads
    return [(record, reads(record) if reads else None) for record in run.records]


def mapped(
    run: StoredRun, change: Callable[[Record, Message], list[Record]], *kinds: str
) -> StoredRun:
    """The run with other records in place of those about messages of these kinds."""
    records: list[Record] = []
    for record, message in messages_of(run):
        told = message is not None and message.kind in kinds
        records += change(record, message) if told and message else [record]
    return replace(run, records=tuple(records))


def lost(*numbers: int) -> Mutation:
    """These messages never arrive."""
    return lambda run: mapped(
        run, lambda r, m: [] if m.number in numbers else [r], "received", "taken"
    )


def twice(number: int) -> Mutation:
    """The receiver prints this message twice."""
    return lambda run: mapped(run, lambda r, m: [r] * (1 + (m.number == number)), "received")


def goes_to(machine: str, process: str, numbers: range) -> Mutation:
    """These messages reach another process."""

    def change(record: Record, message: Message) -> list[Record]:
        if message.number not in numbers:
            return [record]
        return [replace(record, machine=machine, process=process)]

    return lambda run: mapped(run, change, "received", "taken")


def dealt(numbers: range, seconds: float) -> Mutation:
    """The sends of these messages return earlier or later."""

    def change(record: Record, message: Message) -> list[Record]:
        if message.number not in numbers or record.text is None:
            return [record]
        told = json.loads(record.text)
        return [replace(record, text=json.dumps({**told, "t": told["t"] + seconds}))]

    return lambda run: mapped(run, change, "dealt", "taken")


def done(seconds: float, machine: str, numbers: range = range(1000)) -> Mutation:
    """A machine prints its messages earlier or later."""

    def change(record: Record, message: Message) -> list[Record]:
        moved = record.machine == machine and message.number in numbers
        return [replace(record, t=record.t + seconds) if moved else record]

    return lambda run: mapped(run, change, "received")


def without(*names: str) -> Mutation:
    """Nothing reports such events."""
    return lambda run: replace(run, events=tuple(e for e in run.events if e.event not in names))


def says(old: str, new: str) -> Mutation:
    """A line is replaced, or removed if the new one is empty."""

    def mutate(run: StoredRun) -> StoredRun:
        records = [
            replace(r, text=r.text.replace(old, new)) if r.text and r.stream == "stdout" else r
            for r in run.records
        ]
        return replace(run, records=tuple(r for r in records if r.text != ""))

    return mutate


def shuffled(first: int, second: int) -> Mutation:
    """Two messages swap their receivers."""

    def mutate(run: StoredRun) -> StoredRun:
        at = {m.number: r for r, m in messages_of(run) if m and m.kind == "received"}
        one, other = at[first], at[second]
        a = goes_to(other.machine, other.process, range(first, first + 1))
        b = goes_to(one.machine, one.process, range(second, second + 1))
        return b(a(run))

    return mutate
