"""Judges of what a broker between does to messages when it is killed and started again.

A message's send returns when the broker has acknowledged it: from then on it answers for it.
"""

from collections.abc import Sequence

from pushpull.analysis.history import Run
from pushpull.analysis.recovery import repair
from pushpull.core import wording
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import leaving

_NO_RESTART = "The broker was not killed and started again."


def acknowledged_before_the_kill_arrive(run: Run) -> Verdict:
    """Each message whose send returned before the broker was killed arrived."""
    if run.fault is None or repair(run) is None:
        return Verdict.not_observed(_NO_RESTART)
    numbers = [n for n, t in run.dealt.items() if t < leaving.ordered(run.fault)]
    return _all_arrive(run, numbers, "acknowledged before the kill")


def sent_after_the_restart_arrive(run: Run) -> Verdict:
    """Each message whose send returned after the broker was back arrived."""
    back = repair(run)
    if back is None:
        return Verdict.not_observed(_NO_RESTART)
    if not run.sent_all:
        return Verdict.refuted("The sender did not finish.", events=[back])
    numbers = [n for n, t in run.dealt.items() if t > back.t]
    return _all_arrive(run, numbers, "acknowledged after the restart")


def _all_arrive(run: Run, numbers: Sequence[int], which: str) -> Verdict:
    if not numbers:
        return Verdict.not_observed(f"Nothing was {which}.")
    lost = [n for n in numbers if not run.takers.get(n)]
    why = f"Of {len(numbers)} messages {which} {len(lost) or 'none'} never arrived"
    if lost:
        return Verdict.refuted(f"{why}: {wording.listed(lost)}.", messages=lost)
    return Verdict.holds(f"{why}.", messages=numbers)
