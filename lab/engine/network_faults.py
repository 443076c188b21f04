"""Network faults: changes on machines that are kept, verified and healed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.change import Change, Spot
from pushpull.core.faults.fault import Check, Fault
from pushpull.core.faults.network import HEAL
from pushpull.engine.fault_log import FaultLog, checked
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines import traffic_rules
from pushpull.machines.remote_process import ChangeLease


@dataclass(frozen=True, slots=True)
class Held:
    """An active change on a machine, and the check that it is undone.

    `stop` ends what it does to packets, and returns what its counters say.
    """

    machine: str
    lease: ChangeLease
    is_undone: Callable[[], bool | None]
    stop: Callable[[], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """The lab network of a run; `held` are the active changes."""

    manager: ProcessManager
    log: FaultLog
    held: list[Held] = field(default_factory=list)

    def inject(
        self, fault: Fault, these: Sequence[str], others: Sequence[str] = (), **parameters: Any
    ) -> None:
        """Change the network of machines until it is healed; LabError where that has no effect.

        Arguments:
            fault: what is done.
            these: the machines on which it is done.
            others: those from which they are kept, if the fault is between machines; or to whose
                traffic with them it is limited, if it can be, otherwise it is all others'.
            parameters: of the fault's `change`.
        """
        if fault.between and not others:
            raise LabError(f"'{fault}' needs machines on both sides", hint="name the `others`")
        if others and not (fault.between or fault.selective):
            raise LabError(f"'{fault}' is not between machines", hint="leave `others` out")
        changes = {name: self._change(fault, name, others, parameters) for name in these}
        ordered = clock.now()
        at = max(self._hold(fault, name, others, change) for name, change in changes.items())
        one_way = bool(parameters.get("one_way"))
        verified = checked(lambda: self._is_in_effect(fault, changes, others, one_way=one_way))
        if fault.check is Check.APART and verified is False:
            raise LabError(
                f"the network between {' or '.join(these)} and {' or '.join(others)} isn't as it"
                " was to be",
                hint="does another rule there decide first? `nft list ruleset` shows them all",
            )
        details = {"from": list(others), **parameters} if others else parameters
        for name, change in changes.items():
            wire = (change.wire or {}).get("wire")
            own = {} if wire is None else {"own_wire": wire}
            self.log.note(fault, name, ordered=ordered, at=at, verified=verified, **details, **own)

    def try_out(self, needed: Iterable[Fault]) -> None:
        """Raise LabError in advance if a machine can't do one of these faults."""
        for fault in needed:
            if fault.trial is not None:
                for remote in self.manager.remotes.values():
                    traffic_rules.try_out(remote, self.manager.folder, fault.trial())

    def heal(self, *, check: bool = True) -> None:
        """Undo every active change; with `check`, verify that it is undone."""
        undone = []
        while self.held:
            held, ordered = self.held[-1], clock.now()
            counted = _counted(held)
            counted |= _numbers(held.lease.release())
            self.held.pop()
            undone.append((held, ordered, clock.now(), counted))
        for held, ordered, at, counted in undone:
            verified = checked(held.is_undone) if check else None
            details: dict[str, Any] = {"counted": counted} if counted else {}
            self.log.note(HEAL, held.machine, ordered=ordered, at=at, verified=verified, **details)

    def _change(
        self, fault: Fault, machine: str, others: Sequence[str], parameters: dict[str, Any]
    ) -> Change:
        if fault.change is None:
            raise LabError(
                f"'{fault}' is not done to single machines", hint="`lab.heal()` undoes all changes"
            )
        remotes = self.manager.remotes
        meant = others or [name for name in remotes if name != machine]
        addresses = [remotes[name].access.address for name in meant]
        find_link = partial(traffic_rules.link_of, remotes[machine])
        change = fault.change(Spot(find_link, addresses), **parameters)
        if fault.trial is None:
            return change
        remote, folder = remotes[machine], self.manager.folder
        return traffic_rules.possible(remote, folder, change, fault.trial())

    def _hold(self, fault: Fault, machine: str, others: Sequence[str], change: Change) -> float:
        """Make a change; return the UNIX time from which it is in effect."""
        ordered = clock.now()
        lease = traffic_rules.hold(self.manager.remotes[machine], self.manager.folder, change)
        is_undone = partial(self._is_undone, fault, machine, others, change)
        stop = partial(traffic_rules.stop, self.manager.remotes[machine], change)
        self.held.append(Held(machine, lease, is_undone, stop))
        at, latest = self.log.monitor.our_time(machine, lease.at), clock.now()
        return at if ordered <= at <= latest else latest  # whatever its clock says

    def _is_in_effect(
        self, fault: Fault, changes: dict[str, Change], others: Sequence[str], *, one_way: bool
    ) -> bool | None:
        match fault.check:
            case Check.APART:
                return self._are_apart([*changes], others, one_way=one_way)
            case Check.COUNTED:
                return all(self._counts(name, change) for name, change in changes.items())
            case Check.QUEUED:
                return all(self._is_queued(name, change) for name, change in changes.items())
        return None

    def _is_undone(
        self, fault: Fault, machine: str, others: Sequence[str], change: Change
    ) -> bool | None:
        match fault.check:
            case Check.APART:
                return self._are_joined([machine], others)
            case Check.COUNTED:
                return not self._counts(machine, change)
            case Check.QUEUED:
                return not self._is_queued(machine, change)
        return None

    def _counts(self, machine: str, change: Change) -> bool:
        return bool(traffic_rules.counters(self.manager.remotes[machine], change))

    def _is_queued(self, machine: str, change: Change) -> bool:
        return traffic_rules.is_queued(self.manager.remotes[machine], change)

    def _are_apart(self, these: Sequence[str], those: Sequence[str], *, one_way: bool) -> bool:
        """Tell whether nothing from these reaches those and, unless one way, nothing gets back."""
        back = self._reached(those, these)
        whole = len(these) * len(those)
        return not self._reached(these, those) and len(back) == (whole if one_way else 0)

    def _are_joined(self, these: Sequence[str], those: Sequence[str]) -> bool:
        """Return whether each of these reaches each of those, and back."""
        there, back = self._reached(these, those), self._reached(those, these)
        return len(there) == len(back) == len(these) * len(those)

    def _reached(self, senders: Sequence[str], receivers: Sequence[str]) -> set[tuple[str, str]]:
        remotes = self.manager.remotes
        return traffic_rules.reached([remotes[s] for s in senders], [remotes[r] for r in receivers])


def _counted(held: Held) -> dict[str, int]:
    """Return what a change did by the kernel's counters; nothing if they can't be read."""
    try:
        return dict(held.stop())
    except LabError:  # it must be undone all the same
        return {}


def _numbers(said: str) -> dict[str, int]:
    """Return what the lab's own wire did, from its last line: words and numbers in turn."""
    words = said.split() if isinstance(said, str) else []
    pairs = zip(words[::2], words[1::2], strict=False)
    return {name: int(number) for name, number in pairs if name.isalpha() and number.isdecimal()}
