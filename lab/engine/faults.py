"""The fault vocabulary: what is done to processes and machines on purpose, and how it is undone.

A process can be terminated, interrupted, killed, paused and resumed everywhere, and a program may
know how to kill itself at a message (die_at), where a kill from here would come some messages too
late. What can be done to a machine depends on its provider (`Machines.faults`): cut_power (nothing
that it had open says goodbye), shut_down (its connections are closed as it goes), power_on,
cut_cable, mend_cable.

Each is `verified` only by a check of its own: the launcher on the machine says that a process is
gone or stopped, another machine's datagrams no longer get through, the kernel lists a rule. What
nothing could check is `verified: null`, what a check contradicts `verified: false`; claims rely on
neither.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.core import clock
from lab.core.errors import LabError
from lab.core.records import Event, Record
from lab.core.vocabulary import REPAIRS
from lab.engine.monitor import RunMonitor
from lab.engine.processes import Process
from lab.machines.providers.base import Machines

VERIFY_TIMEOUT_S = 10
_DRIFT_S = 1.0  # of a machine's clock since it was compared with ours

_ENDING = {
    "terminate": signal.SIGTERM,
    "interrupt": signal.SIGINT,
    "kill": signal.SIGKILL,
}
_HALTING = {"pause": signal.SIGSTOP, "resume": signal.SIGCONT}


@dataclass(slots=True)
class Faults:
    """Does faults and repairs, tells of them, and remembers what is still broken.

    `trigger` is the record that the next fault hangs on, if one does.
    """

    supply: Machines
    monitor: RunMonitor
    trigger: Record | None = None
    broken: dict[tuple[str, str], Process | str] = field(default_factory=dict)

    def hit(self, fault: str, process: Process) -> None:
        """Do a fault, or the repair `resume`, to all processes of a program."""
        ordered = clock.now()
        if fault in _ENDING:
            process.blame = "itself" if process.ended else "fault"
            process.signal(_ENDING[fault])
            effect = process.wait_gone(VERIFY_TIMEOUT_S)
        else:
            process.signal(_HALTING[fault])
            process.paused = fault == "pause"
            effect = process.wait_stopped(process.paused, VERIFY_TIMEOUT_S)
        # What had ended before it was ordered was not ended by it; nor was it in the future.
        effect = (
            effect if effect is not None and ordered <= effect < clock.now() + _DRIFT_S else None
        )
        self._note(fault, process, ordered, effect, verified=effect is not None)

    def suffer(self, fault: str, process: Process, told: float) -> None:
        """Tell of a fault that a process did to itself by SIGKILL; `told` is when it said so."""
        killed = process.status == 128 + signal.SIGKILL
        effect = process.ended_at if killed else None
        self._note(fault, process, told, effect, verified=killed)

    def strike(self, fault: str, machine: str, verify: Callable[[], bool | None]) -> None:
        """Do a fault or a repair to a machine; LabError where its provider can't.

        `verify` tells whether it shows from outside; None where nobody is there to see it.
        """
        ordered = clock.now()
        if fault in REPAIRS:  # should it fail half-way, it is to be repaired as well
            self.broken[machine, fault] = machine
        self.supply.do(fault, machine)
        effect = clock.now()
        self._note(fault, machine, ordered, effect, verified=verify())

    def repair(self, do: Callable[[str, Process | str], None]) -> None:
        """Undo what is still broken, the last first, by `do` with the repair and its target."""
        for (_, fault), target in reversed(list(self.broken.items())):
            do(REPAIRS[fault], target)

    def _note(
        self,
        fault: str,
        target: Process | str,
        ordered: float,
        effect: float | None,
        *,
        verified: bool | None,
    ) -> None:
        repairs = fault in REPAIRS.values()
        if repairs:
            for broken in [
                b for b in self.broken if b[0] == str(target) and REPAIRS[b[1]] == fault
            ]:
                del self.broken[broken]
        elif fault in REPAIRS:
            self.broken[str(target), fault] = target
        at = clock.now() if effect is None else effect
        kind = "repair" if repairs else "fault"
        details: dict[str, Any] = {kind: fault, "verified": verified}
        details["took_s"] = at - ordered
        if self.trigger is not None and not repairs:
            details["trigger_to_effect_s"] = at - self.trigger.t
        machine, process = (target, "") if isinstance(target, str) else target.place
        self.monitor.event(
            Event(t=at, event=kind, machine=machine, process=process, details=details)
        )


def checked(verify: Callable[[], bool | None]) -> bool | None:
    """Return what a check says; None where it can't be made, as nobody answers to make it."""
    try:
        return verify()
    except LabError:
        return None
