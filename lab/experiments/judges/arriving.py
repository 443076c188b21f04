"""Judges of how messages arrive: in which order, and whether unchanged."""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pushpull.analysis.history import Run
from pushpull.analysis.messages import Messages
from pushpull.core import wording
from pushpull.core.verdict import Verdict
from pushpull.runs.chunk_traces import shown_texts, traced_texts

if TYPE_CHECKING:
    from pushpull.analysis.vectors import Ints

# A receiver's line begins with the message's number, even if the rest has changed.
_OF_A_MESSAGE = re.compile(r"\d{1,18}(?![^\s,])")


def in_order(run: Run) -> Verdict:
    """Each life of a receiver printed a sender's messages in the order of the sender's output.

    Duplicates don't count here.
    """
    from pushpull.analysis import vectors

    wrong: list[int] = []
    pairs = 0
    printed = [vectors.first_ones(numbers) for numbers in _by_life(run.received)]
    lives = _by_life(run.sent or run.traced_sends)
    seen = twice = vectors.column(())
    for sent in lives:
        once = vectors.Index(sent).unique
        twice = vectors.with_more(twice, once[vectors.Index(seen).has(once)])
        seen = vectors.with_more(seen, once)
    again = vectors.Index(twice)  # of a number that two lives sent: whose arrived isn't known
    for sent in lives:
        index = vectors.Index(sent)
        for numbers in printed:
            arrived = numbers[index.has(numbers) & ~again.has(numbers)]
            pairs += max(0, len(arrived) - 1)
            if not (vectors.is_rising(sent) and vectors.is_rising(arrived)):
                wrong += _late(vectors.plain(arrived), _places(vectors.plain(sent)))
    if wrong:
        late = wording.listed(sorted(wrong)).capitalize()
        why = f"{late} arrived after a later message, on the same machine."
        return Verdict.refuted(why, messages=sorted(wrong), final=True)
    if unknown := vectors.plain(again.unique):
        which = wording.listed(unknown).capitalize()
        why = f"{which} were sent by two lives of a sender: which of them arrived is not known."
        return Verdict.not_observed(why)
    if not pairs:
        known = run.sent or run.traced_sends
        return Verdict.not_observed(
            "No process received two messages of one sender."
            if known
            else "No sender printed or traced what it sent."
        )
    return Verdict.holds(f"{len(run.takers)} messages arrived, none after a later one.")


def _by_life(messages: Messages) -> "list[Ints]":
    """Return what each life of a program said of messages, in the order of its output."""
    from pushpull.analysis import vectors

    places, ns, numbers = map(vectors.column, (messages.places, messages.ns, messages.numbers))
    return [
        vectors.sorted_by(numbers[of], ns[of])
        for of in (places == place for place in range(len(messages.named)))
        if of.any()
    ]


def _places(sent: Iterable[int]) -> Mapping[int, list[int]]:
    """Return the positions of each number in a sender's output."""
    places: defaultdict[int, list[int]] = defaultdict(list)
    for n, number in enumerate(sent):
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

    A message whose sender doesn't trace its text is left out, as its text is unknown. So is a last
    line without its end, which may be half of one. A text of several lines is compared line by
    line. Of a text a hash of 64 bits with a key of this process stands for it, as there may be a
    million.
    """
    from pushpull.analysis import vectors

    traced, texts = array("q"), array("q")
    for number, text in traced_texts(run.records, run.may_send):
        traced.append(number)
        texts.append(hash(text))
        if "\n" in text:
            texts.extend(map(hash, text.split("\n")))
    if not traced:
        return Verdict.not_observed("No sender traced the text of what it sent.")
    known, numbers_traced = (vectors.Index(vectors.column(one)) for one in (texts, traced))
    sent = vectors.column(run.sent.numbers)
    untraced = set(vectors.plain(sent[~numbers_traced.has(sent)]))
    compared = 0
    wrong: set[int] = set()
    for lines in _lines_of_messages(run):
        is_known = known.has(vectors.column([hash(text) for text, _ in lines]))
        odd = [number for (_, number), sure in zip(lines, is_known, strict=True) if not sure]
        wrong |= (found := {int(number) for number in odd} - untraced)
        compared += len(lines) - sum(int(number) not in found for number in odd)
    if not compared:
        return Verdict.not_observed("No sender traced the text of what it sent.")
    if wrong:
        numbers = sorted(wrong)
        why = f"The text printed for {wording.listed(numbers)} was never sent."
        return Verdict.refuted(why, messages=numbers)
    return Verdict.holds(f"{compared} lines were printed, each the text of a message as sent.")


def _lines_of_messages(run: Run) -> Iterator[list[tuple[str, str]]]:
    """Yield the lines about messages that receivers printed, in any form, and their numbers."""
    lives = run.received.speakers()
    for machine, process, texts in shown_texts(run.records):
        if (machine, process) in lives:
            found = ((text, _OF_A_MESSAGE.match(text)) for text in texts)
            yield [(text, match[0]) for text, match in found if match]
