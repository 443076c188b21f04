"""Faults of the wall clock that programs on a machine see."""

from pushpull.core.faults.fault import Check, Fault, Scope

CORRECT_CLOCK = Fault(
    name="correct_clock",
    kind="repair",
    scope=Scope.CLOCK,
    words="had its wall clock corrected",
    check=Check.TOLD_TIME,
)
SET_CLOCK = Fault(
    name="set_clock",
    scope=Scope.CLOCK,
    words="had its wall clock set",
    check=Check.TOLD_TIME,
    repair=CORRECT_CLOCK,
)
