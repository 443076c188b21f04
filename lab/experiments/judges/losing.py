"""Judges of what is lost with a killed worker, for `loss_curve` and `fast_kill`."""

from pushpull.analysis import history
from pushpull.analysis.history import Run
from pushpull.core import wording
from pushpull.core.verdict import Verdict
from pushpull.experiments.judges import leaving, line_formats

_AT_MOST_S = 0.5  # the longest way of a message to a worker that keeps up, on a busy machine
_NO_FAULT = "No process was killed in time, or the pusher's library did not report that."


def backlog_is_lost(run: Run, *, behind: bool) -> Verdict:
    """What waited at the victim when it was killed is lost; nothing waited if it kept up.

    What it had not printed counts as waiting: it prints messages in the order of their arrival.
    """
    end = leaving.noticed(run)
    if run.fault is None or end is None:
        return Verdict.not_observed(_NO_FAULT)
    lost = [n for n in run.dealt if not run.takers.get(n)]
    later = sorted(set(lost).intersection(leaving.after_the_fault(run)))
    done = [message.number for message in run.by(run.fault.machine)]
    earlier = [n for n in lost if n < max(done, default=-1)]
    since = leaving.ordered(run.fault) - _AT_MOST_S
    waited = [n for n in lost if run.dealt[n] < since]
    victim = run.fault.machine
    why = (
        f"{victim} had printed {wording.counted(len(done), 'message')} when it was killed;"
        f" {len(lost)} {'was' if len(lost) == 1 else 'were'} lost with it."
    )
    if earlier:
        lost_before = wording.listed(earlier).capitalize()
        why = f"{lost_before} never arrived, though {victim} printed later ones."
        return Verdict.refuted(why, messages=earlier)
    if later:
        lost_after = wording.listed(later).capitalize()
        why = f"{lost_after} never arrived, though sent after the kill had been noticed."
        return Verdict.refuted(why, messages=later)
    if behind and not lost:
        return Verdict.refuted(f"{why} It was behind, yet none was lost.", events=[run.fault])
    if not behind and waited:
        return Verdict.refuted(
            f"{why} Some of these had waited, though it kept up.",
            messages=waited,
            events=[run.fault],
        )
    return Verdict.holds(why, messages=lost, events=[run.fault])


def later_ones_come(run: Run) -> Verdict:
    """Everything sent after the end was noticed reached another machine."""
    if run.fault is None or leaving.noticed(run) is None:
        return Verdict.not_observed(_NO_FAULT)
    sent = [n for n in leaving.after_the_fault(run) if n in run.dealt]
    if not sent:
        return Verdict.not_observed("Nothing was sent after the pusher had noticed the kill.")
    survivors = [machine for machine in run.receivers if machine != run.fault.machine]
    return history.all_taken(run, sent, by=survivors)


def ends_there_or_later(run: Run) -> Verdict:
    """Having killed itself at a message, it printed that last; killed from outside, it went on."""
    dies, triggers = run.events("dies"), run.events("trigger")
    if run.fault is None or not (dies or triggers):
        return Verdict.not_observed(_NO_FAULT)
    number = (
        int(dies[0].details["number"]) if dies else line_formats.number(triggers[0].details["text"])
    )
    more = [m.number for m in run.by(run.fault.machine) if m.number > number]
    if dies and more:
        return Verdict.refuted(
            f"{run.fault.machine} printed more after message {number}.", messages=more
        )
    if dies:
        return Verdict.holds(
            f"Message {number} is the last that {run.fault.machine} printed.", messages=[number]
        )
    if not more:
        return Verdict.not_observed(
            f"{run.fault.machine} printed nothing after message {number} until it was gone."
        )
    took_s = run.fault.t - triggers[0].t
    return Verdict.holds(
        f"In the {took_s * 1000:.1f} ms after message {number}, {run.fault.machine} printed"
        f" {len(more)} more.",
        messages=more,
        events=[run.fault],
    )
