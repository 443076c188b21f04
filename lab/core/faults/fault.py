"""A fault as a value: its scope, its words, its repair, and the check that verifies it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from pushpull.core.faults.change import Change


class Scope(Enum):
    """The kind of target that a fault has."""

    PROCESS = "process"
    MACHINE = "machine"
    NETWORK = "network"
    CLOCK = "clock"


class Check(Enum):
    """What verifies that a fault or a repair took effect; the value explains it to a reader."""

    ENDED = "the launcher on the machine: all processes of the program are gone"
    STOPPED = "the launcher on the machine: all processes of the program are stopped"
    RUNNING = "the launcher on the machine: no process of the program is stopped"
    STANDING = "the launcher on the machine: the program stands in the call that prints its line"
    RELEASED = "the launcher on the machine: the program's call was let go"
    READY = "the program, which is ready"
    SILENT = "another machine, whose connection attempts are not even refused any more"
    BACK = "the machine's SSH server"
    UNPLUGGED = "datagrams from another machine, none of which arrives"
    PLUGGED_IN = "datagrams from another machine"
    APART = "datagrams between each pair, both ways"
    COUNTED = "the kernel's counters of packets, which are there"
    QUEUED = "the kernel's list of queueing disciplines, or of rules for the lab's own wire"
    TOLD_TIME = "a program on the machine, whose wall clock is compared with ours"
    UNDONE = "the check of each fault that it undoes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault, or the repair of one; all code refers to it by this value.

    Attributes:
        name: as in `@experiment(faults=...)` and in the events of a run.
        scope: the kind of target that it has.
        words: what screens and pages say about its target, such as `was paused`.
        check: what verifies it; None if nothing can, and then its events have `verified: null`.
        repair: what undoes it; None if nothing needs to, or can.
        kind: whether it is a fault or a repair, which is also the kind of its events.
        signal: for a process, the signal to send; None if the lab can't cause it from outside.
        between: for the network, whether it separates its target from others, which must be named.
        selective: for the network, whether it may be limited to the traffic with some others.
        change: for the network, returns the change of a machine, for a `Spot` and parameters.
        trial: for the network, returns a harmless change that tests whether a machine can do it.
    """

    name: str
    scope: Scope
    words: str
    check: Check | None
    repair: "Fault | None" = None
    kind: Literal["fault", "repair"] = "fault"
    signal: int | None = None
    between: bool = False
    selective: bool = False
    change: Callable[..., Change] | None = None
    trial: Callable[[], Change] | None = None

    def __str__(self) -> str:
        return self.name
