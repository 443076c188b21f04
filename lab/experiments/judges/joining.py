"""What subscribers miss: the judges of the claims on PUB and SUB."""

from lab.analysis import history
from lab.analysis.history import Run
from lab.core.verdict import Verdict


def start_is_missed(run: Run) -> Verdict:
    """What was published before the first subscriber was connected did not come to it."""
    early = run.receivers[0] if run.receivers else ""
    connected = next(iter(run.events("connected", by=[early])), None)
    if connected is None or not run.by(early):
        return Verdict.not_observed("No subscriber was connected, or nothing came.")
    before = [n for n, t in run.dealt.items() if t < connected.t - run.no_order_s]
    came = [message.number for message in run.by(early) if message.number in before]
    if not before:
        return Verdict.not_observed("It was connected before message 0 was published.")
    told = history.listed(sorted(came or before)).capitalize()
    if came:
        return Verdict.refuted(f"{told} came all the same.", messages=came, events=[connected])
    return Verdict.holds(
        f"{told} had been published when {early} was connected, and never came.",
        messages=before,
        events=[connected],
    )


def start_never_comes(run: Run) -> Verdict:
    """The subscriber that was started last got nothing that was published before its start."""
    starts = run.events("start", by=run.receivers)
    if len(starts) < 2 or not run.by(starts[-1].machine):
        return Verdict.not_observed("No second subscriber came, or it got nothing.")
    late = starts[-1]
    missed = [n for n, t in run.dealt.items() if t < late.t - run.no_order_s]
    came = [m.number for m in run.by(late.machine) if m.number in missed]
    if not missed:
        return Verdict.not_observed("Nothing was published before it.", events=[late])
    if came:
        return Verdict.refuted(
            f"{history.listed(came).capitalize()} came to {late.machine}.", messages=came
        )
    first = min(message.number for message in run.by(late.machine))
    return Verdict.holds(
        f"Before it was started {history.listed(missed)} had been published; the first that came"
        f" to {late.machine} is {first}.",
        messages=missed,
        events=[late],
    )


def all_from_the_first_on(run: Run) -> Verdict:
    """Each subscriber got each message from its first one on to the last, once."""
    firsts = {}
    for machine in run.receivers:
        got = [message.number for message in run.by(machine)]
        if not got:
            return Verdict.not_observed(f"{machine} got nothing.")
        due = [n for n in run.planned if n >= got[0]]
        wrong = sorted(set(due) ^ set(got)) or [n for n in set(got) if got.count(n) > 1]
        if wrong:
            return Verdict.refuted(
                f"{machine} got {history.listed(wrong)} not once.", messages=wrong
            )
        firsts[machine] = got[0]
    if len(firsts) < 2:
        return Verdict.not_observed("There was one subscriber only.")
    told = ", ".join(f"{machine} from {n} on" for machine, n in firsts.items())
    return Verdict.holds(f"{told}, each without a gap.")
