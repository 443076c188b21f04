"""Network faults between machines: made on the machines that they cut off, verified, healed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from lab.core import clock
from lab.core.errors import LabError
from lab.core.records import Event
from lab.engine.faults import checked
from lab.engine.monitor import RunMonitor
from lab.engine.process_manager import ProcessManager
from lab.machines import traffic_rules
from lab.machines.remote_process import ChangeLease
from lab.machines.traffic_rules import Change


@dataclass(frozen=True, slots=True)
class Held:
    """A change that is in effect on a machine, and what checks that it is undone."""

    machine: str
    hold: ChangeLease
    is_undone: Callable[[], bool]


@dataclass(slots=True)
class NetworkFaults:
    """The lab network of a run; `held` are the changes that are in effect."""

    manager: ProcessManager
    monitor: RunMonitor
    held: list[Held] = field(default_factory=list)

    def partition(
        self, these: Sequence[str], those: Sequence[str], *, one_way: bool, reject: bool
    ) -> None:
        """Keep machines apart; LabError where datagrams of any pair say that they aren't."""
        ordered = clock.now()
        addresses = [self.manager.remotes[name].access.address for name in those]
        change = traffic_rules.separation(addresses, incoming=not one_way, reject=reject)
        at = max(
            self._hold(name, change, partial(self._are_joined, [name], those)) for name in these
        )
        verified = checked(lambda: self._are_apart(these, those, one_way=one_way))
        if verified is False:
            raise LabError(
                f"the network between {' or '.join(these)} and {' or '.join(those)} isn't as it"
                " was to be",
                hint="`fab check` tells what reaches what",
            )
        fault = "reject" if reject else "partition"
        details = {"fault": fault, "from": list(those), "one_way": one_way, "verified": verified}
        self._tell("fault", these, at, ordered, details)

    def slow(self, machine: str, change: Change, words: dict[str, Any]) -> None:
        """Change how a machine's link sends; verified where the kernel then lists the change."""
        ordered = clock.now()
        remote = self.manager.remotes[machine]
        at = self._hold(machine, change, lambda: not traffic_rules.is_queued(remote, change))
        verified = checked(lambda: traffic_rules.is_queued(remote, change))
        self._tell("fault", [machine], at, ordered, {**words, "verified": verified})

    def try_out(self, needs: Sequence[str]) -> None:
        """Raise LabError where a machine can't do one of these faults, before it's relied on."""
        for need in needs:
            if need in traffic_rules.TRIALS:
                for remote in self.manager.remotes.values():
                    traffic_rules.try_out(remote, self.manager.folder, need)

    def heal(self, *, check: bool = True) -> None:
        """Undo every change that is in effect; with `check` it is verified that it's undone."""
        undone = []
        while self.held:
            held, ordered = self.held[-1], clock.now()
            held.hold.release()
            self.held.pop()
            undone.append((held, ordered, clock.now()))
        for held, ordered, at in undone:
            verified = checked(held.is_undone) if check else None
            details = {"repair": "heal", "verified": verified}
            self._tell("repair", [held.machine], at, ordered, details)

    def _hold(self, machine: str, change: Change, is_undone: Callable[[], bool]) -> float:
        hold = traffic_rules.hold(self.manager.remotes[machine], self.manager.folder, change)
        self.held.append(Held(machine, hold, is_undone))
        return self.monitor.our_time(machine, hold.at)

    def _are_apart(self, these: Sequence[str], those: Sequence[str], *, one_way: bool) -> bool:
        """Tell whether nothing of any of these gets to any of those, nor back if not one way."""
        back = self._reached(those, these)
        whole = len(these) * len(those)
        return not self._reached(these, those) and len(back) == (whole if one_way else 0)

    def _are_joined(self, these: Sequence[str], those: Sequence[str]) -> bool:
        """Tell whether each of these reaches each of those, and back."""
        there, back = self._reached(these, those), self._reached(those, these)
        return len(there) == len(back) == len(these) * len(those)

    def _reached(self, senders: Sequence[str], receivers: Sequence[str]) -> set[tuple[str, str]]:
        remotes = self.manager.remotes
        return traffic_rules.reached([remotes[s] for s in senders], [remotes[r] for r in receivers])

    def _tell(
        self, kind: str, machines: Sequence[str], at: float, ordered: float, details: dict[str, Any]
    ) -> None:
        more = {**details, "took_s": at - ordered}
        for machine in machines:
            self.monitor.event(Event(t=at, event=kind, machine=machine, details=more))
