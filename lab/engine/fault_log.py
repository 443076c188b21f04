"""Records faults and repairs as events of the run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault
from pushpull.core.records import Event, Record
from pushpull.engine.monitor import RunMonitor


@dataclass(slots=True)
class FaultLog:
    """The events of faults; `trigger` is the record that triggers the next fault, if any."""

    monitor: RunMonitor
    trigger: Record | None = None

    def note(
        self,
        fault: Fault,
        machine: str,
        process: str = "",
        *,
        ordered: float,
        at: float,
        verified: bool | None,
        **parameters: Any,
    ) -> None:
        """Record a fault with the UNIX times when it was `ordered`, and took effect (`at`)."""
        details: dict[str, Any] = {fault.kind: fault.name, **parameters, "verified": verified}
        details["took_s"] = at - ordered
        if self.trigger is not None and fault.kind == "fault":
            details["trigger_to_effect_s"] = at - self.trigger.t
        event = Event(t=at, event=fault.kind, machine=machine, process=process, details=details)
        self.monitor.event(event)


def checked(check: Callable[[], bool | None]) -> bool | None:
    """Return the result of a check; None if no machine answers to make it."""
    try:
        return check()
    except LabError:
        return None
