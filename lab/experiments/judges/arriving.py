"""How messages come to the machines: in which order, and whether with the text that was sent."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import lt

from lab.analysis import history
from lab.analysis.history import Run
from lab.core.verdict import Verdict
from lab.runs.chunk_traces import shown_texts, traced_texts

# What a receiver printed of a message begins with its number, even if the rest is not as it was.
_OF_A_MESSAGE = re.compile(r"\d{1,18}(?![^\s,])")

Life = tuple[str, str]  # machine and process


def in_order(run: Run) -> Verdict:
    """Each life of a receiver printed what it got of a sender in the order of the sender's output.

    A message that it prints once more is no matter of order.
    """
    wrong: list[int] = []
    pairs = 0
    printed = [[number for _, number in came] for came in run.received.by_life().values()]
    for sent in run.sent.by_life().values():
        known = {number for _, number in sent}
        in_order = _is_rising([number for _, number in sent])
        for numbers in printed:
            came = [number for number in dict.fromkeys(numbers) if number in known]
            pairs += max(0, len(came) - 1)
            if not (in_order and _is_rising(came)):
                wrong += _late(came, _places(sent))
    if wrong:
        why = f"After a later message came {history.listed(sorted(wrong))}, on the same machine."
        return Verdict.refuted(why, messages=sorted(wrong), final=True)
    if not pairs:
        return Verdict.not_observed("No machine got two messages of one sender.")
    return Verdict.holds(f"{len(run.takers)} messages came, none after a later one.")


def _is_rising(numbers: Sequence[int]) -> bool:
    return all(map(lt, numbers, islice(numbers, 1, None)))


def _places(sent: Iterable[tuple[int, int]]) -> Mapping[int, list[int]]:
    """Return where in a sender's output it printed each number."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for n, number in sent:
        places[number].append(n)
    return places


def _late(numbers: list[int], places: Mapping[int, list[int]]) -> Iterator[int]:
    """Yield each number that was sent only before one that came earlier."""
    last = -1
    for number in numbers:
        following = [place for place in places[number] if place > last]
        if following:
            last = min(following)
        else:
            yield number


def as_sent(run: Run) -> Verdict:
    """What receivers printed of messages are the texts that the senders traced.

    A message whose sender doesn't trace its text is left out: nothing tells what it was.
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
        why = f"What was printed of {history.listed(numbers)} is no text that was sent."
        return Verdict.refuted(why, messages=numbers)
    return Verdict.holds(f"{compared} lines were printed, each the text of a message as sent.")


def _lines_of_messages(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what processes that received printed of messages, in whatever form, and the number."""
    lives = run.received.speakers()
    for machine, process, texts in shown_texts(run.records):
        if (machine, process) in lives:
            for text in texts:
                if found := _OF_A_MESSAGE.match(text):
                    yield text, found[0]
