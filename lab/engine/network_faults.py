"""Network faults: changes on machines that are kept, verified and healed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.change import Change, Spot
from pushpull.core.faults.fault import Check, Fault
from pushpull.core.faults.network import HEAL
from pushpull.engine.active_faults import ActiveFaults, Held
from pushpull.engine.fault_log import FaultLog, checked
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines import traffic_rules


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault as a scenario injected it; if it is one of the network, `Lab.heal` undoes it alone.

    `held` are the changes of the network that it consists of.
    """

    fault: Fault
    held: tuple[Held, ...] = ()

    def __repr__(self) -> str:
        """Return it as somebody at a prompt wants to see it."""
        where = ", ".join(held.machine for held in self.held)
        return f"<{self.fault} on {where}>" if where else f"<{self.fault}>"


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """The lab network of a run; `active` has the changes that are in effect."""

    manager: ProcessManager
    log: FaultLog
    active: ActiveFaults

    def inject(
        self, fault: Fault, these: Sequence[str], others: Sequence[str] = (), **parameters: Any
    ) -> Injected:
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
        done = [self._hold(fault, name, others, change) for name, change in changes.items()]
        at, injected = max(since for since, _ in done), Injected(fault, tuple(h for _, h in done))
        one_way = bool(parameters.get("one_way"))
        verified = checked(lambda: self._is_in_effect(injected, others, one_way=one_way))
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
        return injected

    def try_out(self, needed: Iterable[Fault]) -> None:
        """Raise LabError in advance if a machine can't do one of these faults."""
        for fault in needed:
            if fault.trial is not None:
                for remote in self.manager.remotes.values():
                    traffic_rules.try_out(remote, self.manager.folder, fault.trial())

    def heal(self, *faults: Injected, check: bool = True) -> None:
        """Undo these faults alone, or by default every active one; with `check`, verify that.

        Raises LabError if one of them is not a fault of the network. What is undone already stays
        so.
        """
        for injected in faults:
            if injected.fault.repair != HEAL:
                raise LabError(
                    f"'{injected.fault}' is not a fault of the network, which `heal` could undo",
                    hint="docs/faults.md names the call that repairs it",
                )
        meant = [held for injected in faults for held in injected.held]
        active, undone = self.active.held, []
        for held in reversed([h for h in active if not faults or h in meant]):
            ordered = clock.now()
            counted = _counted(held)
            counted |= _numbers(held.lease.release())
            active.remove(held)
            undone.append((held, ordered, clock.now(), counted))
        for held, ordered, at, counted in undone:
            verified = checked(held.is_undone) if check else None
            details: dict[str, Any] = {"undone": held.fault.name}
            details |= {"counted": counted} if counted else {}
            self.log.note(HEAL, held.machine, ordered=ordered, at=at, verified=verified, **details)

    def _change(
        self, fault: Fault, machine: str, others: Sequence[str], parameters: dict[str, Any]
    ) -> Change:
        if fault.change is None:
            raise LabError(
                f"'{fault}' is not done to single machines", hint="`lab.heal()` undoes all changes"
            )
        remotes = self.manager.remotes
        addresses = [remotes[name].access.address for name in self._meant(machine, others)]
        find_link = partial(traffic_rules.link_of, remotes[machine])
        change = fault.change(Spot(find_link, addresses), **parameters)
        if fault.trial is None:
            return change
        remote, folder = remotes[machine], self.manager.folder
        return traffic_rules.possible(remote, folder, change, fault.trial())

    def _meant(self, machine: str, others: Sequence[str]) -> Sequence[str]:
        """Return the machines whose traffic with this one is meant: by default all others."""
        return others or [name for name in self.manager.remotes if name != machine]

    def _hold(
        self, fault: Fault, machine: str, others: Sequence[str], change: Change
    ) -> tuple[float, Held]:
        """Make a change; return the UNIX time from which it is in effect, and the change."""
        ordered = clock.now()
        lease = traffic_rules.hold(self.manager.remotes[machine], self.manager.folder, change)
        is_undone = partial(self._is_undone, fault, machine, others, change)
        stop = partial(traffic_rules.stop, self.manager.remotes[machine], change)
        meant = frozenset(self._meant(machine, others))
        held = Held(fault, machine, meant, change, lease, is_undone, stop)
        self.active.held.append(held)
        at, latest = self.log.monitor.our_time(machine, lease.at), clock.now()
        return at if ordered <= at <= latest else latest, held  # whatever its clock says

    def _is_in_effect(
        self, injected: Injected, others: Sequence[str], *, one_way: bool
    ) -> bool | None:
        match injected.fault.check:
            case Check.APART:
                return self._are_apart(injected.held, others, one_way=one_way)
            case Check.COUNTED:
                return all(self._counts(held.machine, held.change) for held in injected.held)
            case Check.QUEUED:
                return all(self._is_queued(held.machine, held.change) for held in injected.held)
        return None

    def _is_undone(
        self, fault: Fault, machine: str, others: Sequence[str], change: Change
    ) -> bool | None:
        match fault.check:
            case Check.APART:
                return self._are_joined(machine, others, change)
            case Check.COUNTED:
                return not self._counts(machine, change)
            case Check.QUEUED:
                return not self._is_queued(machine, change)
        return None

    def _counts(self, machine: str, change: Change) -> bool:
        return bool(traffic_rules.counters(self.manager.remotes[machine], change))

    def _is_queued(self, machine: str, change: Change) -> bool:
        return traffic_rules.is_queued(self.manager.remotes[machine], change)

    def _are_apart(self, these: Sequence[Held], those: Sequence[str], *, one_way: bool) -> bool:
        """Tell whether nothing from these reaches those and, unless one way, nothing gets back.

        One way all must get back, unless another fault may be in its way.
        """
        names = [held.machine for held in these]
        back = self._reached(those, names)
        free = {(b, a) for a in names for b in those if self.active.leave_free(b, a, these)}
        return not self._reached(names, those) and (free <= back if one_way else not back)

    def _are_joined(self, machine: str, those: Sequence[str], change: Change) -> bool:
        """Return whether a machine reaches each of those, and back, that no other fault concerns.

        Where another one does, it is undone if the kernel has its rules no more.
        """
        free = [other for other in those if self.active.leave_free(machine, other)]
        there, back = self._reached([machine], free), self._reached(free, [machine])
        if not len(there) == len(back) == len(free):
            return False
        remote = self.manager.remotes[machine]
        return len(free) == len(those) or not traffic_rules.has_rules(remote, change)

    def _reached(self, senders: Sequence[str], receivers: Sequence[str]) -> set[tuple[str, str]]:
        remotes, pairs = self.manager.remotes, [(s, r) for s in senders for r in receivers]
        late_s = max((self.active.delay_s(*pair) for pair in pairs), default=0.0)
        return traffic_rules.reached(
            [remotes[s] for s in senders], [remotes[r] for r in receivers], late_s
        )


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
