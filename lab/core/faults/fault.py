"""What a fault is: what it is done to, its words, what undoes it, and what verifies it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from lab.core.faults.change import Change


class Scope(Enum):
    """What a fault is done to."""

    PROCESS = "process"
    MACHINE = "machine"
    NETWORK = "network"


class Check(Enum):
    """What verifies that a fault or a repair is in effect; the value says it to a reader."""

    ENDED = "the launcher on the machine: all processes of the program are gone"
    STOPPED = "the launcher on the machine: all processes of the program are stopped"
    RUNNING = "the launcher on the machine: no process of the program is stopped"
    READY = "the program, which is ready"
    SILENT = "another machine, whose connection attempts are not even refused any more"
    BACK = "the machine's SSH server"
    UNPLUGGED = "datagrams from another machine, none of which arrives"
    PLUGGED_IN = "datagrams from another machine"
    APART = "datagrams between each pair, both ways"
    QUEUED = "the kernel's list of queueing disciplines"
    UNDONE = "the check of each fault that it undoes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault, or the repair of one: by this value all code knows it.

    Attributes:
        name: as in `@experiment(faults=...)` and in the events of a run.
        scope: what it is done to.
        words: what screens and pages say of its target, as `was paused`.
        check: what verifies it; None where nothing can, and its events have `verified: null`.
        repair: what undoes it; None where nothing needs to, or can.
        kind: whether it is a fault or a repair, which is also the kind of its events.
        signal: of a process: what is sent to it. Without one, it is not done from outside.
        change: of the network: what is changed on a machine, from its `Spot` and from parameters.
        trial: of the network: a harmless change that shows whether a machine has the means.
    """

    name: str
    scope: Scope
    words: str
    check: Check | None
    repair: "Fault | None" = None
    kind: Literal["fault", "repair"] = "fault"
    signal: int | None = None
    change: Callable[..., Change] | None = None
    trial: Callable[[], Change] | None = None

    def __str__(self) -> str:
        return self.name
