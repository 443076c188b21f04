"""Faults of a machine, which its provider injects: `Machines.do`."""

from pushpull.core.faults.fault import Check, Fault, Scope

POWER_ON = Fault(
    name="power_on",
    kind="repair",
    scope=Scope.MACHINE,
    words="was switched on again",
    check=Check.BACK,
)
# The machine closes none of its connections.
CUT_POWER = Fault(
    name="cut_power",
    scope=Scope.MACHINE,
    words="had its power cut",
    check=Check.SILENT,
    repair=POWER_ON,
)
# Its connections are closed as it goes.
SHUT_DOWN = Fault(
    name="shut_down",
    scope=Scope.MACHINE,
    words="was shut down",
    check=Check.SILENT,
    repair=POWER_ON,
)
MEND_CABLE = Fault(
    name="mend_cable",
    kind="repair",
    scope=Scope.MACHINE,
    words="had its cable repaired",
    check=Check.PLUGGED_IN,
)
CUT_CABLE = Fault(
    name="cut_cable",
    scope=Scope.MACHINE,
    words="had its cable cut",
    check=Check.UNPLUGGED,
    repair=MEND_CABLE,
)
