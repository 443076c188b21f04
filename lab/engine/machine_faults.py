"""Faults of machines: done by their provider, verified from another machine."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Check, Fault
from pushpull.engine.fault_log import FaultLog, checked
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines import traffic_rules
from pushpull.machines.providers.base import Machines
from pushpull.machines.remote import Remote

_TRIES = 6  # each waits 0.3 s for a datagram


@dataclass(frozen=True, slots=True)
class MachineFaults:
    """Does faults and repairs of machines, and remembers those that are still to be undone."""

    supply: Machines
    manager: ProcessManager
    log: FaultLog
    broken: list[tuple[str, Fault]] = field(default_factory=list)

    def inject(self, fault: Fault, machine: str) -> None:
        """Do a fault or a repair to a machine; LabError where its provider can't."""
        ordered = clock.now()
        if fault.repair is not None:  # should it fail half-way, it is to be repaired as well
            self.broken.append((machine, fault))
        goes_off = fault.check is Check.SILENT
        if goes_off:
            self._expect_ends(machine)
        gone = self.manager.remotes[machine]
        self.supply.do(fault, machine)
        at = clock.now()
        verified = self._verified(fault, machine)
        self.broken[:] = [(m, f) for m, f in self.broken if m != machine or f.repair != fault]
        self.log.note(fault, machine, ordered=ordered, at=at, verified=verified)
        if goes_off:
            gone.close()  # nothing answers there any more: don't wait for it

    def undo(self) -> None:
        """Repair what is still broken, the last first."""
        for machine, fault in reversed(self.broken.copy()):
            if fault.repair is not None and (machine, fault) in self.broken:
                with contextlib.suppress(LabError):
                    self.inject(fault.repair, machine)

    def _expect_ends(self, machine: str) -> None:
        for process in self.manager.processes:
            if process.machine == machine and not process.ended:
                process.ended_by = "fault"

    def _verified(self, fault: Fault, machine: str) -> bool | None:
        if fault.check is None:
            return None
        if fault.check is Check.BACK:
            self.manager.readmit(machine)  # LabError where it doesn't answer
            return True
        look, sign = _FROM_OUTSIDE[fault.check]
        seen = self._seen_from_outside(look, machine)
        return None if seen is None else seen is sign

    def _seen_from_outside(
        self, look: Callable[[Remote, Remote], bool], machine: str
    ) -> bool | None:
        """Let another machine look at this one; None where there is no other one."""
        remotes, broken = self.manager.remotes, {name for name, _ in self.broken}
        others = (r for r in remotes.values() if r.name not in {machine, *broken})
        other = next(others, None)
        return None if other is None else checked(lambda: look(other, remotes[machine]))


def _is_there(other: Remote, machine: Remote) -> bool:
    return traffic_rules.is_there(other, machine)


def _is_reached(other: Remote, machine: Remote) -> bool:
    return traffic_rules.reaches(other, machine)


def _is_reached_again(other: Remote, machine: Remote) -> bool:
    """Return whether a datagram arrives within some tries.

    If the other machine asked for this one's link address while the cable was out, Linux keeps its
    datagrams back until it asks again, a second later (`retrans_time_ms`, arp(7)).
    """
    return any(_is_reached(other, machine) for _ in range(_TRIES))


# How another machine looks at one, and what it sees if the fault or repair is in effect.
_FROM_OUTSIDE: Mapping[Check, tuple[Callable[[Remote, Remote], bool], bool]] = {
    Check.SILENT: (_is_there, False),
    Check.UNPLUGGED: (_is_reached, False),
    Check.PLUGGED_IN: (_is_reached_again, True),
}
