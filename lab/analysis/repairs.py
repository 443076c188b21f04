"""Which repair ends which fault, as several may be in effect on one machine."""

from collections.abc import Sequence

from pushpull.core import faults
from pushpull.core.faults.fault import Scope
from pushpull.core.faults.machine import POWER_ON
from pushpull.core.faults.network import HEAL
from pushpull.core.faults.process import START_AGAIN
from pushpull.core.records import Event


def ends(event: Event, fault: Event) -> bool:
    """Return whether a repair, or a start, on the machine of a fault ends that, or another there.

    It ends one that the lab doesn't know.
    """
    known = faults.ALL.get(str(fault.details.get("fault")))
    if known is None or known.repair is None:
        return True
    if event.event == "start":
        return known.repair in (START_AGAIN, POWER_ON)
    if event.details.get("repair") != known.repair.name:
        return False
    if known.repair == HEAL:
        return bool(event.details.get("undone", known.name) == known.name)
    is_same = event.process == fault.process or known.repair == START_AGAIN
    return is_same if known.scope is Scope.PROCESS else True


class OpenFaults:
    """The faults that are not repaired yet, as a run's events come one after another."""

    def __init__(self) -> None:
        self._open: dict[str, list[Event]] = {}

    def of(self, machine: str) -> Sequence[Event]:
        """Return those of a machine, in the order in which they were done."""
        return self._open.get(machine, ())

    def see(self, event: Event) -> list[Event]:
        """Take the next event, and return the faults that it ends."""
        there = self._open.setdefault(event.machine, [])
        ended: list[Event] = []
        if event.event == "fault":
            there.append(event)
        elif event.event == "repair":
            ended = [fault for fault in there if ends(event, fault)]
            if event.details.get("repair") == HEAL.name and "undone" in event.details:
                ended = ended[:1]  # each change that is healed has an event of its own
            self._open[event.machine] = [f for f in there if all(f is not e for e in ended)]
        return ended
