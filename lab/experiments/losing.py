"""What is lost with a worker that is killed: the judges of `loss_curve`."""

from lab import claims
from lab.claims import Run
from lab.experiments import leaving
from lab.verdict import Verdict

_NO_FAULT = "Nobody was killed in time, or the pusher's library did not report it."


def backlog_is_lost(run: Run, *, behind: bool) -> Verdict:
    """Lost is what was dealt to the victim before its end was noticed; nothing if it kept up."""
    end = leaving.noticed(run)
    if run.fault is None or end is None:
        return Verdict.not_observed(_NO_FAULT)
    lost = [n for n in run.dealt if not run.takers.get(n)]
    later = [n for n in lost if run.dealt[n] > end.t + run.no_order_s]
    waiting = set(leaving.in_flight(run))
    done = len(run.by(run.fault.machine))
    why = f"It had done {done} when it was killed; {len(lost)} were lost with it."
    if later:
        return Verdict.refuted(f"{claims.listed(later).capitalize()} left later.", messages=later)
    if behind and not lost:
        return Verdict.refuted(f"{why} It was behind, and yet lost none.", events=[run.fault])
    if not behind and set(lost) - waiting:
        return Verdict.refuted(why, messages=lost, events=[run.fault])
    return Verdict.holds(why, messages=lost, events=[run.fault])


def later_ones_come(run: Run) -> Verdict:
    """All that was dealt after the end was noticed came to another."""
    if run.fault is None or leaving.noticed(run) is None:
        return Verdict.not_observed(_NO_FAULT)
    sent = [n for n in leaving.after_the_fault(run) if n in run.dealt]
    if not sent:
        return Verdict.not_observed("Nothing was sent after it was noticed.")
    survivors = [machine for machine in run.receivers if machine != run.fault.machine]
    return claims.all_taken(run, sent, by=survivors)
