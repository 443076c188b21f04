"""How long a run took to recover from its fault: a pure function of the run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pushpull.analysis.history import Run
from pushpull.analysis.repairs import ends
from pushpull.core.records import Event

if TYPE_CHECKING:
    from pushpull.analysis.by_number import Times


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What happened after the repair, in seconds since it.

    Attributes:
        first_s: when the first message was through.
        backlog_s: when the last of those that had waited for the repair arrived: they were sent
            before it and received after it. 0 if none had waited.
    """

    first_s: float
    backlog_s: float


def recovery(run: Run, arrived: "Times") -> Recovery | None:
    """Return how a run recovered, or None if nothing came through after a repair.

    The repair is the first one of the machine that had the fault or, if its program was killed, the
    program's next start. A message is through when that machine receives it or, if only a sender
    had the fault, any machine.

    Arguments:
        run: any run.
        arrived: when each message was received.
    """
    back = repair(run)
    if back is None or run.fault is None:
        return None
    affected = {run.fault.machine, *map(str, run.fault.details.get("from", ()))}
    # What came while the repair took effect came through it.
    since = back.t - float(back.details.get("took_s", 0.0))
    there = affected - run.senders or set(run.receivers)
    numbers, times = arrived.index.unique, arrived.times
    through = times[(times >= since) & run.takers.taken_by(numbers, sorted(there))]
    if not len(through):
        return None
    waited = times[(times >= since) & (run.dealt.at(numbers, times) < since)]
    return Recovery(
        first_s=max(0.0, float(through.min()) - back.t),
        backlog_s=max(0.0, float(waited.max(initial=back.t)) - back.t),
    )


def repair(run: Run) -> Event | None:
    """Return the event that ended the fault, see `recovery`; None if nothing did."""
    fault = run.fault
    if fault is None:
        return None
    after = [
        event
        for name in ("repair", "start")
        for event in run.events(name, by=[fault.machine])
        if event.t > fault.t and ends(event, fault)
    ]
    return next(iter(after), None)
