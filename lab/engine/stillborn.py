"""Programs that fail before they handle a message: noticed at once, not at the run's limit.

The others of the run would wait for them: a sender that has no receiver blocks.
"""

from collections.abc import Sequence

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.names import program_of
from pushpull.core.wording import joined
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.processes import Process

_SETTLED_S = 0.5  # what another program had printed by then is captured


def require_none(processes: Sequence[Process], monitor: RunMonitor) -> None:
    """Raise LabError if all processes of a program failed so, and nothing has been received.

    If the experiment says which programs' lines are messages, only these matter; if it reads no
    messages, others must wait for them, and nothing may have been printed at all.
    """
    others_run = not all(process.ended for process in processes)
    printed = monitor.ledger.printed
    if monitor.received:
        return
    if monitor.reads is None and (not others_run or printed([p.place for p in processes])):
        return
    speaks = getattr(monitor.reads, "speaks", lambda _: True)
    before = clock.now() - _SETTLED_S * others_run
    for program in dict.fromkeys(program_of(p.name) for p in processes if speaks(p.name)):
        lives = [p for p in processes if program_of(p.name) == program]
        spoke = not others_run and printed([p.place for p in lives])  # no other waits for it
        if not spoke and all(_is_stillborn(process, monitor, before) for process in lives):
            raise _explained(program, lives)


def _is_stillborn(process: Process, monitor: RunMonitor, before: float) -> bool:
    return (
        process.ended_at is not None
        and process.ended_at <= before
        and process.ended_by == "itself"
        and bool(process.status)
        and process.place not in monitor.ledger.senders
    )


def _explained(program: str, lives: Sequence[Process]) -> LabError:
    machines = list(dict.fromkeys(process.machine for process in lives))
    statuses = joined([str(status) for status in dict.fromkeys(p.status for p in lives)])
    return LabError(
        f"{program} ended by itself, with exit status {statuses}, before it handled a message",
        where=f"machine{'s' if len(machines) > 1 else ''} {joined(machines)}",
        hint=f"run it by hand: fab ssh --machine {machines[0]}",
        output=lives[0].tail(),
    )
