"""All faults and repairs, each a value in the module for its scope."""

import difflib
from collections.abc import Mapping

from pushpull.core.errors import LabError
from pushpull.core.faults import clock, machine, network, process
from pushpull.core.faults.fault import Fault, Scope

ALL: Mapping[str, Fault] = {
    value.name: value
    for module in (process, machine, network, clock)
    for value in vars(module).values()
    if isinstance(value, Fault)
}


def named(name: str | Fault) -> Fault:
    """Return the fault or repair with this name; LabError if there is none."""
    if isinstance(name, Fault):
        return name
    if name not in ALL:
        known = [fault.name for fault in ALL.values() if fault.kind == "fault"]
        close = difflib.get_close_matches(str(name), ALL, n=1, cutoff=0.5)
        guess = f"did you mean '{close[0]}'? " if close else ""
        raise LabError(f"there is no fault {name!r}", hint=f"{guess}there are: {', '.join(known)}")
    return ALL[name]


def of(scope: Scope) -> frozenset[Fault]:
    """Return all faults and repairs of a scope."""
    return frozenset(fault for fault in ALL.values() if fault.scope is scope)
