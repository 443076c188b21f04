"""Judges of the claims about PUB and SUB: what subscribers miss."""

from pushpull.analysis.history import Run
from pushpull.core import wording
from pushpull.core.verdict import Verdict


def start_is_missed(run: Run) -> Verdict:
    """Messages published before the first subscriber was connected did not reach it."""
    early = run.receivers[0] if run.receivers else ""
    connected = next(iter(run.events("connected", by=[early])), None)
    if connected is None or not run.by(early):
        return Verdict.not_observed("No subscriber was connected, or nothing arrived.")
    arrived = {message.number for message in run.by(early)}
    certain = (n for n, t in run.dealt.items() if t < connected.t - run.report_late_s)
    if came := sorted(arrived.intersection(certain)):
        why = f"{wording.listed(came).capitalize()} arrived nevertheless."
        return Verdict.refuted(why, messages=came, events=[connected])
    before = {n for n, t in run.dealt.items() if t < connected.t - run.no_order_s}
    missed = sorted(before - arrived)
    if not missed:
        late = " Its connection was reported late." if before else ""
        return Verdict.not_observed(f"It was connected before message 0 was published.{late}")
    return Verdict.holds(
        f"{wording.listed(missed).capitalize()} had been published before {early} was connected,"
        " and never arrived.",
        messages=missed,
        events=[connected],
    )


def start_never_comes(run: Run) -> Verdict:
    """The last subscriber got nothing that was published before its start."""
    starts = run.events("start", by=run.receivers)
    if len(starts) < 2 or not run.by(starts[-1].machine):
        return Verdict.not_observed("There was no second subscriber, or it got nothing.")
    late = starts[-1]
    missed = [n for n, t in run.dealt.items() if t < late.t - run.no_order_s]
    arrived = [m.number for m in run.by(late.machine) if m.number in missed]
    if not missed:
        return Verdict.not_observed("Nothing was published before it.", events=[late])
    if arrived:
        numbers = wording.listed(arrived).capitalize()
        return Verdict.refuted(f"{numbers} reached {late.machine}.", messages=arrived)
    first = min(message.number for message in run.by(late.machine))
    return Verdict.holds(
        f"Before its start {wording.listed(missed)} had been published; the first that reached"
        f" {late.machine} is {first}.",
        messages=missed,
        events=[late],
    )


def all_from_the_first_on(run: Run) -> Verdict:
    """Each subscriber got every message exactly once, from its first one to the last."""
    firsts = {}
    for machine in run.receivers:
        got = [message.number for message in run.by(machine)]
        if not got:
            return Verdict.not_observed(f"{machine} got nothing.")
        due = [n for n in run.planned if n >= got[0]]
        wrong = sorted(set(due) ^ set(got)) or [n for n in set(got) if got.count(n) > 1]
        if wrong:
            return Verdict.refuted(
                f"{machine} did not get {wording.listed(wrong)} exactly once.", messages=wrong
            )
        firsts[machine] = got[0]
    if len(firsts) < 2:
        return Verdict.not_observed("There was only one subscriber.")
    each = ", ".join(f"{machine} from {n} on" for machine, n in firsts.items())
    return Verdict.holds(f"{each}, each without a gap.")
