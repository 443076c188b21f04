"""What is lost with a worker that is killed: the judges of `loss_curve` and `fast_kill`."""

from lab.analysis import history
from lab.analysis.history import Run
from lab.core.verdict import Verdict
from lab.experiments.judges import leaving, line_formats

_AT_MOST_S = 0.2  # so long a message is on its way to a worker that keeps up, on a busy machine
_NO_FAULT = "Nobody was killed in time, or the pusher's library did not report it."


def backlog_is_lost(run: Run, *, behind: bool) -> Verdict:
    """Lost is what waited at the victim when it was killed; nothing had waited if it kept up.

    What it had not printed, that is: it prints in the order in which it is dealt.
    """
    end = leaving.noticed(run)
    if run.fault is None or end is None:
        return Verdict.not_observed(_NO_FAULT)
    lost = [n for n in run.dealt if not run.takers.get(n)]
    later = [n for n in lost if run.dealt[n] > end.t + run.no_order_s]
    done = [message.number for message in run.by(run.fault.machine)]
    earlier = [n for n in lost if n < max(done, default=-1)]
    since = leaving.ordered(run.fault) - _AT_MOST_S
    waited = [n for n in lost if run.dealt[n] < since]
    why = f"It had done {len(done)} when it was killed; lost with it: {len(lost)}."
    if earlier:
        return Verdict.refuted(f"It was past {history.listed(earlier)}.", messages=earlier)
    if later:
        return Verdict.refuted(f"{history.listed(later).capitalize()} left later.", messages=later)
    if behind and not lost:
        return Verdict.refuted(f"{why} It was behind, and yet lost none.", events=[run.fault])
    if not behind and waited:
        return Verdict.refuted(f"{why} Some had waited.", messages=waited, events=[run.fault])
    return Verdict.holds(why, messages=lost, events=[run.fault])


def later_ones_come(run: Run) -> Verdict:
    """All that was dealt after the end was noticed came to another."""
    if run.fault is None or leaving.noticed(run) is None:
        return Verdict.not_observed(_NO_FAULT)
    sent = [n for n in leaving.after_the_fault(run) if n in run.dealt]
    if not sent:
        return Verdict.not_observed("Nothing was sent after it was noticed.")
    survivors = [machine for machine in run.receivers if machine != run.fault.machine]
    return history.all_taken(run, sent, by=survivors)


def ends_there_or_later(run: Run) -> Verdict:
    """Told to die at a message the victim printed it last; killed from outside it went on."""
    told, hung = run.events("dies"), run.events("trigger")
    if run.fault is None or not (told or hung):
        return Verdict.not_observed(_NO_FAULT)
    number = (
        int(told[0].details["number"]) if told else line_formats.number(hung[0].details["text"])
    )
    more = [m.number for m in run.by(run.fault.machine) if m.number > number]
    if told and more:
        return Verdict.refuted(f"After message {number} it printed more.", messages=more)
    if told:
        return Verdict.holds(f"Message {number} is the last that it printed.", messages=[number])
    if not more:
        return Verdict.not_observed(f"It got none after message {number} before it was gone.")
    took_s = run.fault.t - hung[0].t
    return Verdict.holds(
        f"After message {number} it printed {len(more)} more in {took_s * 1000:.1f} ms.",
        messages=more,
        events=[run.fault],
    )
