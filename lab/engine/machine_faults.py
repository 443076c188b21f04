"""Faults of machines: done by their provider, verified from another machine."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Check, Fault
from pushpull.engine.active_faults import ActiveFaults
from pushpull.engine.fault_log import FaultLog, checked
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines import traffic_rules
from pushpull.machines.providers.base import Machines
from pushpull.machines.remote import Remote

_TRIES = 6  # each waits 0.3 s for a datagram


@dataclass(frozen=True, slots=True)
class MachineFaults:
    """Does faults and repairs of machines; `active` are those that are still to be undone."""

    supply: Machines
    manager: ProcessManager
    log: FaultLog
    active: ActiveFaults

    def inject(self, fault: Fault, machine: str) -> None:
        """Do a fault or a repair to a machine; LabError where its provider can't."""
        ordered = clock.now()
        if fault.repair is not None:  # should it fail half-way, it is to be repaired as well
            self._broken.append((machine, fault))
        goes_off = fault.check is Check.SILENT
        if goes_off:
            self._expect_ends(machine)
        gone = self.manager.remotes[machine]
        self.supply.do(fault, machine)
        at = clock.now()
        verified = self._verified(fault, machine)
        self._broken[:] = [(m, f) for m, f in self._broken if m != machine or f.repair != fault]
        self.log.note(fault, machine, ordered=ordered, at=at, verified=verified)
        if goes_off:
            gone.close()  # nothing answers there any more: don't wait for it

    def undo(self) -> None:
        """Repair what is still broken, the last first."""
        for machine, fault in reversed(self._broken.copy()):
            if fault.repair is not None and (machine, fault) in self._broken:
                with contextlib.suppress(LabError):
                    self.inject(fault.repair, machine)

    @property
    def _broken(self) -> list[tuple[str, Fault]]:
        return self.active.broken

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
        remotes, onlooker = self.manager.remotes, self._onlooker(fault, machine)
        if onlooker is None:
            return None
        late_s = self.active.delay_s(onlooker, machine)
        seen = checked(lambda: look(remotes[onlooker], remotes[machine], late_s))
        return None if seen is None else seen is sign

    def _onlooker(self, fault: Fault, machine: str) -> str | None:
        """Return a machine that sees this one, but for this fault; None if there is none."""
        this = [(m, f) for m, f in self._broken if m == machine and fault in (f, f.repair)]
        others = (name for name in self.manager.remotes if name != machine)
        return next((o for o in others if self.active.leave_free(o, machine, this)), None)


def _is_there(other: Remote, machine: Remote, late_s: float) -> bool:
    return traffic_rules.is_there(other, machine, late_s)


def _is_reached(other: Remote, machine: Remote, late_s: float) -> bool:
    return traffic_rules.reaches(other, machine, late_s)


def _is_reached_again(other: Remote, machine: Remote, late_s: float) -> bool:
    """Return whether a datagram arrives within some tries.

    If the other machine asked for this one's link address while the cable was out, Linux keeps its
    datagrams back until it asks again, a second later (`retrans_time_ms`, arp(7)).
    """
    return any(_is_reached(other, machine, late_s) for _ in range(_TRIES))


# How another machine looks at one, and what it sees if the fault or repair is in effect.
_FROM_OUTSIDE: Mapping[Check, tuple[Callable[[Remote, Remote, float], bool], bool]] = {
    Check.SILENT: (_is_there, False),
    Check.UNPLUGGED: (_is_reached, False),
    Check.PLUGGED_IN: (_is_reached_again, True),
}
