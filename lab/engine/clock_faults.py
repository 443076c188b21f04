"""Faults of clocks: programs on a machine see a wall clock that is wrong, or that steps."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from pushpull.core import clock
from pushpull.core.clock import Clock
from pushpull.core.errors import LabError
from pushpull.core.faults.clock import CORRECT_CLOCK
from pushpull.core.faults.fault import Fault, Scope
from pushpull.engine.fault_log import FaultLog, checked
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines import wall_clock

_MOST_AHEAD_S = 10**9  # 31 years
_WRONG_S = 0.02  # beyond the uncertainty of the measurement


@dataclass(frozen=True, slots=True)
class ClockFaults:
    """Sets the wall clocks that programs on machines see."""

    manager: ProcessManager
    log: FaultLog

    def prepare(self, needed: Iterable[Fault]) -> None:
        """If a clock is to be set, start programs so that theirs can be; LabError if impossible."""
        if any(fault.scope is Scope.CLOCK for fault in needed):
            for machine in self.manager.remotes:
                self._prepare(machine)

    def inject(self, fault: Fault, machine: str, *, ahead_s: float = 0.0) -> None:
        """Set a machine's wall clock so far ahead of the computer's, or behind if negative.

        Raises LabError if programs run there that would not see it.
        """
        ahead_s = 0.0 if fault == CORRECT_CLOCK else ahead_s
        if not (math.isfinite(ahead_s) and abs(ahead_s) <= _MOST_AHEAD_S):
            raise LabError(
                f"a clock can't be {ahead_s} s ahead", hint=f"give at most {_MOST_AHEAD_S:,} s"
            )
        self._prepare(machine)
        ordered = clock.now()
        wall_clock.set_ahead(self.manager.remotes[machine], self.manager.folder, ahead_s)
        at = clock.now()
        measured: list[Clock] = []
        is_ahead = partial(self._is_ahead, machine, ahead_s, measured)
        verified = checked(is_ahead) if fault.check else None
        seen = measured[0].offset_s if measured else ahead_s
        self.log.monitor.wall_clock_set(machine, seen)
        self.log.note(
            fault,
            machine,
            ordered=ordered,
            at=at,
            verified=verified,
            ahead_s=ahead_s,
            measured_ahead_s=round(seen, 6),
        )

    def _prepare(self, machine: str) -> None:
        """Let programs that start on a machine from now on see a clock that can be set."""
        if machine in self.manager.wall_clocks:
            return
        running = [p for p in self.manager.processes if p.machine == machine and not p.ended]
        if running:
            raise LabError(
                f"{running[0].name} was started before its wall clock could be set",
                where=f"machine {machine}",
                hint="declare it: @experiment(faults=('set_clock',)); or set the clock before the"
                " program's start, with ahead_s=0 if it is to be right at first",
            )
        remote, folder = self.manager.remotes[machine], self.manager.folder
        self.manager.wall_clocks[machine] = wall_clock.environment(remote, folder)
        self.log.monitor.wall_clock_set(machine, 0.0)

    def _is_ahead(self, machine: str, ahead_s: float, measured: list[Clock]) -> bool:
        """Let a program on the machine read the clock, and compare that with ours."""
        remote = self.manager.remotes[machine]
        found = wall_clock.measure(remote, self.manager.wall_clocks[machine])
        measured.append(found)
        ours = time.time() - clock.now()  # somebody may have set the computer's own clock
        return abs(found.offset_s - ours - ahead_s) <= found.uncertainty_s + _WRONG_S
