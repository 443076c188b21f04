"""The faults that are in effect on a run's network and machines, and what they leave as it was.

Faults overlap, so a check of one must not take what another does for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pushpull.core.faults.change import Change
from pushpull.core.faults.fault import Fault
from pushpull.machines.remote_process import ChangeLease


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """An active change on a machine, and the check that it is undone.

    `others` are the machines whose traffic with it the change concerns. `stop` ends what it does to
    packets, and returns what its counters say.
    """

    fault: Fault
    machine: str
    others: frozenset[str]
    change: Change
    lease: ChangeLease
    is_undone: Callable[[], bool | None]
    stop: Callable[[], Mapping[str, int]]

    def concerns(self, one: str, other: str) -> bool:
        """Return whether the change concerns the traffic between two machines."""
        return (self.machine == one and other in self.others) or (
            self.machine == other and one in self.others
        )


@dataclass(frozen=True, slots=True)
class ActiveFaults:
    """What is in effect: `held` changes of the network, and `broken` machines with their faults."""

    held: list[Held] = field(default_factory=list)
    broken: list[tuple[str, Fault]] = field(default_factory=list)

    def leave_free(self, one: str, other: str, besides: Sequence[object] = ()) -> bool:
        """Return whether all that one machine sends to another is sure to arrive.

        `besides` are members of `held` and `broken` that are left out of account.
        """
        if any(off[0] in (one, other) and off not in besides for off in self.broken):
            return False
        between = (held for held in self.held if held.concerns(one, other) and held not in besides)
        return all(held.change.delay_s is not None for held in between)

    def delay_s(self, one: str, other: str) -> float:
        """Return by how much a datagram, and what finds its way, may come late for their sake.

        The question for a link address and its answer may each be delayed, before the datagram is.
        """
        between = (held.change.delay_s or 0.0 for held in self.held if held.concerns(one, other))
        return 2 * sum(between)
