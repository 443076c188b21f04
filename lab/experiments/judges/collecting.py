"""Judges of the claims about a pipeline, with the sink as the receiver."""

from collections import Counter

from pushpull.analysis.history import Run, printed
from pushpull.analysis.line_readers import lines
from pushpull.core import wording
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges.line_formats import RECEIVED, SENT

__all__ = ["all_take_part", "each_arrives_once", "in_order", "read"]

# A step prints a message that it received, and hands it on.
read = lines(sent={"push": SENT, "step": RECEIVED}, received={"step": RECEIVED, "pull": RECEIVED})


def each_arrives_once(run: Run) -> Verdict:
    """The sink printed each planned message once."""
    arrived = Counter(message.number for message in run.hops[-1].received)
    missing = [n for n in run.planned if n not in arrived]
    twice = [n for n, times in arrived.items() if times > 1]
    end = next((e for e in run.events("exit") if e.process == "push"), None)
    if missing and (end is None or end.details["status"] != 0):
        return Verdict.not_observed("The ventilator did not finish.")
    if missing or twice:
        what = [f"{wording.listed(missing)} never arrived"] if missing else []
        what += [f"{wording.listed(twice)} arrived more than once"] if twice else []
        return Verdict.refuted(f"{'; '.join(what).capitalize()}.", messages=[*missing, *twice])
    return Verdict.holds(f"{len(arrived)} messages arrived.", messages=sorted(arrived))


def all_take_part(run: Run) -> Verdict:
    """Each machine in the middle of the pipeline did some of the work."""
    did = Counter(record.machine for record in printed(run, "step"))
    there = dict.fromkeys(e.machine for e in run.events("start") if e.process == "step")
    if len(there) < 2 or not did:
        return Verdict.not_observed("There were not two workers, or no work was done.")
    why = ", ".join(f"{machine} {did[machine]}" for machine in there)
    connected = [event for event in run.events("connected") if event.process == "push"]
    all_there = connected[len(there) - 1].t if len(connected) >= len(there) else float("inf")
    if len(did) < len(there) and len(run.dealt_between(all_there)) < len(there):
        return Verdict.not_observed(f"Too few were sent while all were connected: {why}.")
    return (Verdict.holds if len(did) == len(there) else Verdict.refuted)(f"{why}.")


def in_order(run: Run) -> Verdict:
    """The sink printed no message after one with a higher number."""
    numbers = [m.number for m in sorted(run.hops[-1].received, key=lambda message: message.n)]
    late = [n for k, n in enumerate(numbers) if n < max(numbers[:k], default=-1)]
    if len(numbers) < 2:
        return Verdict.not_observed("Fewer than two messages arrived.")
    if late:
        return Verdict.refuted(
            f"{wording.listed(late).capitalize()} arrived after later ones.", messages=late
        )
    return Verdict.holds("Each arrived after all that were sent before it.", messages=numbers)
