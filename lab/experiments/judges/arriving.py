"""Judges of how messages arrive: in which order, and whether unchanged."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from lab.analysis import history
from lab.analysis.history import Run
from lab.core.records import Message, Record
from lab.core.trace import trace_of
from lab.core.verdict import Verdict

# A receiver's line begins with the message's number, even if the rest has changed.
_OF_A_MESSAGE = re.compile(r"\d{1,18}(?![^\s,])")

Life = tuple[str, str]  # machine and process


def in_order(run: Run) -> Verdict:
    """Each life of a receiver printed a sender's messages in the order of the sender's output.

    Duplicates don't count here.
    """
    wrong: list[int] = []
    pairs = 0
    for places in _places(run).values():
        for numbers in _printed(run).values():
            arrived = [number for number in dict.fromkeys(numbers) if number in places]
            pairs += max(0, len(arrived) - 1)
            wrong += _late(arrived, places)
    if wrong:
        late = history.listed(sorted(wrong)).capitalize()
        why = f"{late} arrived after a later message, on the same machine."
        return Verdict.refuted(why, messages=sorted(wrong), final=True)
    if not pairs:
        return Verdict.not_observed("No machine got two messages of one sender.")
    return Verdict.holds(f"{len(run.takers)} messages arrived, none after a later one.")


def _places(run: Run) -> Mapping[Life, Mapping[int, list[int]]]:
    """Return the positions of each number in each sender's output."""
    places: defaultdict[Life, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for message in run.sent:
        places[message.machine, message.process][message.number].append(message.n)
    return places


def _printed(run: Run) -> Mapping[Life, list[int]]:
    """Return the numbers that each receiver printed, in the order of its output."""
    lives: defaultdict[Life, list[Message]] = defaultdict(list)
    for message in run.received:
        lives[message.machine, message.process].append(message)
    return {
        life: [m.number for m in sorted(found, key=lambda m: m.n)] for life, found in lives.items()
    }


def _late(numbers: list[int], places: Mapping[int, list[int]]) -> Iterator[int]:
    """Yield each number that was sent only before one that arrived earlier."""
    last = -1
    for number in numbers:
        following = [place for place in places[number] if place > last]
        if following:
            last = min(following)
        else:
            yield number


def as_sent(run: Run) -> Verdict:
    """Receivers printed exactly the texts that the senders traced.

    A message whose sender doesn't trace its text is left out, as its text is unknown.
    """
    texts = _traced_texts(run)
    known = {text for found in texts.values() for text in found}
    untraced = {message.number for message in run.sent} - texts.keys()
    compared, wrong = 0, []
    for record, number in _lines_of_messages(run):
        if number in untraced and record.shown not in known:
            continue
        compared += 1
        if record.shown not in known:
            wrong.append(number)
    if not texts or not compared:
        return Verdict.not_observed("No sender traced the text of what it sent.")
    if wrong:
        numbers = sorted(set(wrong))
        why = f"The text printed for {history.listed(numbers)} was never sent."
        return Verdict.refuted(why, messages=numbers)
    return Verdict.holds(f"{compared} lines were printed, each the text of a message as sent.")


def _traced_texts(run: Run) -> Mapping[int, set[str]]:
    """Return the texts that senders traced for each number that they printed."""
    texts: defaultdict[int, set[str]] = defaultdict(set)
    for record in run.records:
        if '"text"' not in (record.text or ""):  # skips most lines without parsing them
            continue
        trace = trace_of(record)
        if trace and trace.event == "sent" and trace.number is not None:
            texts[trace.number].add(str(trace.details.get("text")))
    return texts


def _lines_of_messages(run: Run) -> Iterator[tuple[Record, int]]:
    """Yield the lines about messages that receivers printed, in any form, and their numbers."""
    lives = {(message.machine, message.process) for message in run.received}
    for record in run.records:
        if record.stream == "stdout" and record.shown and (record.machine, record.process) in lives:
            found = _OF_A_MESSAGE.match(record.shown)
            if found:
                yield record, int(found[0])
