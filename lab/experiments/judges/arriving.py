"""Judges of how messages arrive: in which order, and whether unchanged."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import lt

from lab.analysis import history
from lab.analysis.history import Run
from lab.core.verdict import Verdict
from lab.runs.chunk_traces import shown_texts, traced_texts

# A receiver's line begins with the message's number, even if the rest has changed.
_OF_A_MESSAGE = re.compile(r"\d{1,18}(?![^\s,])")

Life = tuple[str, str]  # machine and process


def in_order(run: Run) -> Verdict:
    """Each life of a receiver printed a sender's messages in the order of the sender's output.

    Duplicates don't count here.
    """
    wrong: list[int] = []
    pairs = 0
    printed = [[number for _, number in lines] for lines in run.received.by_life().values()]
    for sent in run.sent.by_life().values():
        known = {number for _, number in sent}
        in_order = _is_rising([number for _, number in sent])
        for numbers in printed:
            arrived = [number for number in dict.fromkeys(numbers) if number in known]
            pairs += max(0, len(arrived) - 1)
            if not (in_order and _is_rising(arrived)):
                wrong += _late(arrived, _places(sent))
    if wrong:
        late = history.listed(sorted(wrong)).capitalize()
        why = f"{late} arrived after a later message, on the same machine."
        return Verdict.refuted(why, messages=sorted(wrong), final=True)
    if not pairs:
        return Verdict.not_observed("No machine got two messages of one sender.")
    return Verdict.holds(f"{len(run.takers)} messages arrived, none after a later one.")


def _is_rising(numbers: Sequence[int]) -> bool:
    return all(map(lt, numbers, islice(numbers, 1, None)))


def _places(sent: Iterable[tuple[int, int]]) -> Mapping[int, list[int]]:
    """Return the positions of each number in a sender's output."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for n, number in sent:
        places[number].append(n)
    return places


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
    traced, known = set(), set()
    for number, text in traced_texts(run.records):
        traced.add(number)
        known.add(text)
    untraced = {number for number in run.sent.numbers if number not in traced}
    compared, wrong = 0, []
    for text, found in _lines_of_messages(run):
        if text in known:
            compared += 1
        elif (number := int(found)) not in untraced:
            compared += 1
            wrong.append(number)
    if not traced or not compared:
        return Verdict.not_observed("No sender traced the text of what it sent.")
    if wrong:
        numbers = sorted(set(wrong))
        why = f"The text printed for {history.listed(numbers)} was never sent."
        return Verdict.refuted(why, messages=numbers)
    return Verdict.holds(f"{compared} lines were printed, each the text of a message as sent.")


def _lines_of_messages(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the lines about messages that receivers printed, in any form, and their numbers."""
    lives = run.received.speakers()
    for machine, process, texts in shown_texts(run.records):
        if (machine, process) in lives:
            for text in texts:
                if found := _OF_A_MESSAGE.match(text):
                    yield text, found[0]
