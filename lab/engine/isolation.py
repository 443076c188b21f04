"""Which machines faults keep from each other while a run goes on."""

from pushpull.analysis.repairs import OpenFaults
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER
from pushpull.core.faults.network import CUT_AFTER, CUT_AT, PARTITION, REJECT
from pushpull.core.records import Event

_ISOLATING = frozenset(
    fault.name for fault in (CUT_CABLE, CUT_POWER, PARTITION, REJECT, CUT_AFTER, CUT_AT)
)


class Isolation:
    """The faults that keep machines apart now, by the machine on which each was injected."""

    def __init__(self) -> None:
        self._open = OpenFaults()

    def isolates(self, event: Event) -> bool:
        """Return whether an event is a fault that keeps machines apart."""
        return event.event == "fault" and event.details["fault"] in _ISOLATING

    def note(self, event: Event) -> None:
        """Take in a fault or a repair."""
        self._open.see(event)

    def is_off(self, machine: str) -> bool:
        """Return whether a machine has lost its power: its connections stay open elsewhere."""
        return any(fault.details["fault"] == CUT_POWER.name for fault in self._open.of(machine))

    def are_apart(self, one: str, other: str) -> bool:
        """Return whether a fault keeps two machines from each other."""
        return one != other and (self._keeps(one, other) or self._keeps(other, one))

    def _keeps(self, one: str, other: str) -> bool:
        """Return whether a fault on a machine keeps it from another, or from all others."""
        faults = (f for f in self._open.of(one) if f.details["fault"] in _ISOLATING)
        return any(other in (fault.details.get("from") or [other]) for fault in faults)
