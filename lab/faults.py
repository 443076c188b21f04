"""The fault vocabulary: what is done to processes and machines on purpose, and how it is undone.

A process can be terminated, interrupted, killed, paused and resumed everywhere. What can be done to
a machine depends on its provider (`Machines.faults`): cut_power (nothing that it had open says
goodbye), shut_down (its connections are closed as it goes), power_on, cut_cable, mend_cable. Each
is verified before it counts: that the processes are gone or stopped, that the provider says so.
"""

import signal
import time
from dataclasses import dataclass
from typing import Protocol

from lab.providers import Machines

VERIFY_TIMEOUT_S = 10

_ENDING = {
    "terminate": signal.SIGTERM,
    "interrupt": signal.SIGINT,
    "kill": signal.SIGKILL,
}
REPAIRS = {
    "pause": "resume",
    "cut_power": "power_on",
    "shut_down": "power_on",
    "cut_cable": "mend_cable",
}


class Target(Protocol):
    """A process as a fault sees it."""

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""

    def wait_gone(self, timeout: float) -> float | None:
        """Return the UNIX time at which the last of its processes was gone; None if one is left."""

    def wait_stopped(self, stopped: bool, timeout: float) -> float | None:
        """Return the UNIX time at which all were stopped, or none; None if it didn't come to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A fault that was done: when it was ordered, and when it was in effect, in UNIX seconds.

    `effect` is None where it couldn't be verified: too late, as the target had ended already, or
    without success.
    """

    ordered: float
    effect: float | None


def to_process(fault: str, target: Target) -> Done:
    """Do a fault (or the repair `resume`) to all processes of a program, and verify it."""
    ordered = time.time()
    if fault in _ENDING:
        target.signal(_ENDING[fault])
        return _done(ordered, target.wait_gone(VERIFY_TIMEOUT_S))
    stop = fault == "pause"
    target.signal(signal.SIGSTOP if stop else signal.SIGCONT)
    return _done(ordered, target.wait_stopped(stop, VERIFY_TIMEOUT_S))


def to_machine(fault: str, machines: Machines, machine: str) -> Done:
    """Do a fault or a repair to a machine; the provider returns when it is in effect."""
    ordered = time.time()
    machines.do(fault, machine)
    return Done(ordered=ordered, effect=time.time())


def _done(ordered: float, effect: float | None) -> Done:
    return Done(ordered=ordered, effect=effect if effect and effect >= ordered else None)
