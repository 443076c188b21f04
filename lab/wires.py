"""Network faults between machines: made on the machines that they cut off, verified, healed."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import network
from lab.cast import Cast
from lab.errors import LabError
from lab.network import Change
from lab.records import Event
from lab.remote import Hold
from lab.watch import Watch


@dataclass(slots=True)
class Wires:
    """The lab network of a run; `holds` are the changes that are in effect."""

    cast: Cast
    watch: Watch
    holds: list[tuple[str, Hold]] = field(default_factory=list)

    def partition(
        self, these: Sequence[str], those: Sequence[str], *, one_way: bool, reject: bool
    ) -> None:
        """Keep machines apart, verified by a datagram each way; LabError where that fails."""
        ordered = time.time()
        addresses = [self.cast.remotes[name].access.address for name in those]
        change = network.separation(addresses, incoming=not one_way, reject=reject)
        at = max(self._hold(name, change) for name in these)
        self._verify(these[0], those[0], one_way)
        details = {"fault": "reject" if reject else "partition", "from": list(those)}
        self._tell("fault", these, at, ordered, {**details, "one_way": one_way})

    def slow(self, machine: str, change: Change, words: dict[str, Any]) -> None:
        """Change how a machine's link sends."""
        ordered = time.time()
        at = self._hold(machine, change)
        self._tell("fault", [machine], at, ordered, words)

    def try_out(self, needs: Sequence[str]) -> None:
        """Raise LabError where a machine can't do one of these faults, before it's relied on."""
        for need in needs:
            if need in network.TRIALS:
                for remote in self.cast.remotes.values():
                    network.try_out(remote, self.cast.folder, need)

    def heal(self) -> None:
        """Undo every change that is in effect."""
        while self.holds:
            machine, hold = self.holds[-1]
            ordered = time.time()
            hold.release()
            self.holds.pop()
            self._tell("repair", [machine], time.time(), ordered, {"repair": "heal"})

    def _hold(self, machine: str, change: Change) -> float:
        hold = network.hold(self.cast.remotes[machine], self.cast.folder, change)
        self.holds.append((machine, hold))
        return self.watch.our_time(machine, hold.at)

    def _verify(self, this: str, that: str, one_way: bool) -> None:
        sender, receiver = self.cast.remotes[this], self.cast.remotes[that]
        wrong = network.reaches(sender, receiver)
        wrong = wrong or (not one_way and network.reaches(receiver, sender))
        wrong = wrong or (one_way and not network.reaches(receiver, sender))
        if wrong:
            raise LabError(
                f"the network between {this} and {that} isn't as it was to be",
                cure="`fab check` tells what reaches what",
            )

    def _tell(
        self, kind: str, machines: Sequence[str], at: float, ordered: float, details: dict[str, Any]
    ) -> None:
        more = {**details, "verified": True, "took_s": at - ordered}
        for machine in machines:
            self.watch.event(Event(t=at, event=kind, machine=machine, details=more))
