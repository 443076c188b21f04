"""Judges of the claims about REQ and REP, and the reader of the lines of `request` and `answer`."""

from collections import Counter

from pushpull.analysis.history import Run, printed
from pushpull.analysis.line_readers import lines
from pushpull.core import wording
from pushpull.core.records import Record
from pushpull.core.verdict import Verdict

read = lines(sent={"request": r"ask (\d+)"}, received={"request": r"reply to (\d+)"})


def waits_in_vain(run: Run) -> Verdict:
    """The service was back, but did nothing until the client opened a new socket."""
    back = next(iter(run.events("repair")), None)
    given_up = _said(run, "on a new socket")
    again = [record for record in printed(run, "answer") if record.process != "answer"]
    if run.fault is None or back is None or not given_up:
        return Verdict.not_observed("The service did not die, or the client got its reply.")
    if back.t > given_up[0].t - run.no_order_s or not again:
        return Verdict.not_observed("The service was not back before the client gave up.")
    waited = given_up[0].t - back.t
    # Lines of two machines have no exact order: only the first half is clearly before the socket.
    if again[0].t - back.t < waited / 2:
        return Verdict.refuted("The service did it as soon as it was back.", events=[back])
    return Verdict.holds(
        f"The service was back for {waited:.1f} s, but got nothing until the client opened a new"
        " socket.",
        events=[run.fault, back],
    )


def refuses_to_ask(run: Run) -> Verdict:
    """After a missing reply, the client's next send failed with EFSM."""
    if not _said(run, "no reply to"):
        return Verdict.not_observed("Every reply arrived.")
    refusals = _said(run, "can't ask")
    if not refusals:
        return Verdict.refuted("It could ask again.")
    return Verdict.holds(f"The library says: {refusals[0].text}.")


def done_twice(run: Run) -> Verdict:
    """The service did one request in both of its lives."""
    count = Counter(record.text for record in printed(run, "answer"))
    if not _said(run, "on a new socket"):
        return Verdict.not_observed("No request was sent again.")
    twice = [text for text, times in count.items() if text and times > 1]
    if not twice:
        return Verdict.refuted("The service did nothing twice.")
    return Verdict.holds(f"The service printed '{twice[0]}' in both of its lives.")


def all_answered(run: Run) -> Verdict:
    """The client printed a reply to each of its requests."""
    answered = [message.number for message in run.received]
    missing = [n for n in run.planned if n not in answered]
    if missing and not run.sent_all:
        return Verdict.not_observed("The client did not finish.")
    if missing:
        return Verdict.refuted(f"No reply to {wording.listed(missing)}.", messages=missing)
    return Verdict.holds(f"{len(answered)} replies arrived.", messages=answered)


def _said(run: Run, words: str) -> list[Record]:
    return [record for record in printed(run, "request") if words in (record.text or "")]
