"""Which machines faults keep from each other while a run goes on."""

from collections import defaultdict

from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON
from pushpull.core.faults.network import CUT_AFTER, CUT_AT, HEAL, PARTITION, REJECT
from pushpull.core.records import Event

_OF_MACHINES = frozenset({CUT_CABLE.name, CUT_POWER.name})
_OF_NETWORKS = frozenset({PARTITION.name, REJECT.name, CUT_AFTER.name, CUT_AT.name})
_REPAIRED = {
    MEND_CABLE.name: frozenset({CUT_CABLE.name}),
    POWER_ON.name: frozenset({CUT_POWER.name}),
    HEAL.name: _OF_NETWORKS,
}


class Isolation:
    """The faults that keep machines apart now, by the machine on which each was injected."""

    def __init__(self) -> None:
        # From which machines each of them keeps it; from all others if that is empty.
        self._faults: defaultdict[str, dict[str, frozenset[str]]] = defaultdict(dict)

    def note(self, event: Event) -> None:
        """Take in a fault or a repair."""
        there = self._faults[event.machine]
        if event.event == "fault":
            name = event.details["fault"]
            if name in _OF_MACHINES | _OF_NETWORKS:
                others = frozenset(event.details.get("from", ()))
                before = there.get(name, others)
                there[name] = before | others if before and others else frozenset()
        elif event.event == "repair":
            for name in _REPAIRED.get(event.details["repair"], ()):
                there.pop(name, None)

    def is_off(self, machine: str) -> bool:
        """Return whether a machine has lost its power: its connections stay open elsewhere."""
        return CUT_POWER.name in self._faults[machine]

    def are_apart(self, one: str, other: str) -> bool:
        """Return whether a fault keeps two machines from each other."""
        return one != other and (self._keeps(one, other) or self._keeps(other, one))

    def _keeps(self, one: str, other: str) -> bool:
        return any(not of or other in of for of in self._faults[one].values())
