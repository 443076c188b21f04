"""Faults that a scenario plans before it starts the programs at whose lines they are done."""

import threading
from dataclasses import dataclass, field

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.faults.machine import POWER_ON
from pushpull.core.faults.planned import PlannedFault
from pushpull.core.faults.process import DIE_AT, HOLD, START_AGAIN
from pushpull.core.program_line import ProgramLine
from pushpull.engine.faults import Faults
from pushpull.engine.ledger import Place
from pushpull.engine.line_faults import LineFaults
from pushpull.engine.network_faults import Injected
from pushpull.engine.observed import Observed
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process
from pushpull.engine.readiness import wait_ready
from pushpull.engine.triggers import TriggerMissed, Triggers

_END_S = 10.0  # what a thread may need to notice that its program has ended


@dataclass(slots=True)
class FaultSchedule:
    """Does planned faults beside the scenario, a thread for each, and one fault at a time.

    A program with a planned fault is started as one that can be held. It stands at its line, the
    fault is done, and it runs on, if it still can.
    """

    manager: ProcessManager
    faults: Faults
    lines: LineFaults
    _planned: dict[Place, PlannedFault] = field(default_factory=dict)
    _begun: set[Place] = field(default_factory=set)
    _at_work: set[Place] = field(default_factory=set)  # where a fault or a repair is still to come
    _threads: list[threading.Thread] = field(default_factory=list)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    @classmethod
    def of(cls, manager: ProcessManager, faults: Faults) -> "FaultSchedule":
        """Return a schedule without faults, for a run."""
        triggers = Triggers(manager, faults.log, Observed(manager.monitor, manager))
        return cls(manager, faults, LineFaults(manager, faults.processes, triggers))

    def add(self, planned: PlannedFault) -> None:
        """Plan a fault; LabError if that is impossible."""
        place = planned.machine, planned.program
        if planned.value.kind == "repair" or planned.value == DIE_AT:
            raise LabError(f"'{planned.fault}' can't be planned", hint="name a fault of the lab's")
        if planned.machine not in self.manager.remotes:
            raise LabError(
                f"there is no machine '{planned.machine}'",
                hint=f"there are: {', '.join(self.manager.remotes)}",
            )
        if place in self._planned:
            raise LabError(f"there are two faults for {planned.program} on {planned.machine}")
        if any(process.place == place for process in self.manager.processes):
            raise LabError(
                f"{planned.program} on {planned.machine} was started already",
                hint="call lab.schedule before lab.start",
            )
        self._planned[place] = planned

    def must_hold(self, program: str, machine: str, *, held: bool) -> bool:
        """Return whether a program that is started now is held, by the scenario or for a fault."""
        is_planned = (machine, program) in self._planned
        if held and is_planned:
            raise LabError(
                f"{program} on {machine} can't have a planned fault: the scenario holds it itself",
                hint="start it without held=True, or plan no fault for it",
            )
        return held or is_planned

    def begin(self, *processes: Process) -> None:
        """Let processes that were just started run until their faults, where there are any.

        A later life of a program has none, and runs on.
        """
        for process in processes:
            planned = self._planned.get((process.machine, process.program.name))
            if planned is None:
                continue
            if process.name != planned.program or process.place in self._begun:
                process.release()
                continue
            self._begun.add(process.place)
            thread = threading.Thread(target=self._play, args=[planned, process], daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self) -> None:
        """Wait until the faults that have begun are done, and what is to be repaired is."""
        self.manager.monitor.wait(lambda: not self._at_work, "a planned repair")

    def close(self) -> None:
        """Let no further fault or repair begin, and return once none is under way."""
        with self._one_at_a_time:
            self._closed = True
        self.manager.monitor.notify()

    def join(self) -> None:
        """Return when the threads have ended, as they do after `close` and with their programs."""
        for thread in self._threads:
            thread.join(_END_S)

    def _play(self, planned: PlannedFault, process: Process) -> None:
        try:
            self._await_line(planned, process)
            self._at_work.add(process.place)
            with self._one_at_a_time:
                if self._closed:
                    return
                injected = self._strike(planned, process)
            if planned.repaired_after is not None:
                self.manager.monitor.all_within(planned.repaired_after, lambda: self._closed)
                with self._one_at_a_time:
                    if not self._closed:
                        self._repair(planned.value, process, injected)
        except TriggerMissed:  # it has ended before; that the fault is missing shows in the run
            pass
        except BaseException as error:  # the scenario raises it
            self.manager.monitor.fail(error)
        finally:
            self._at_work.discard(process.place)
            self.manager.monitor.notify()

    def _await_line(self, planned: PlannedFault, process: Process) -> None:
        """Wait until a process stands at its line; where it became ready only later, that is it."""
        if planned.at > process.stood_at:
            (record,) = self.lines.run_until([process], ProgramLine(number=planned.at))
            self.lines.triggers.fired(record)

    def _strike(self, planned: PlannedFault, process: Process) -> Injected:
        fault, machine = planned.value, process.machine
        injected = Injected(fault)
        match fault.scope:
            case Scope.PROCESS:
                self.lines.strike(fault, process, process.stood_at)
                return injected
            case Scope.MACHINE:
                self.faults.machines.inject(fault, machine)
            case Scope.NETWORK:
                others = [name for name in self.manager.remotes if name != machine]
                away = others if fault.between else []
                parameters = planned.parameters
                injected = self.faults.network.inject(fault, [machine], away, **parameters)
            case Scope.CLOCK:
                self.faults.clocks.inject(fault, machine, **planned.parameters)
        if not process.ended:
            process.release()
        return injected

    def _repair(self, fault: Fault, process: Process, injected: Injected) -> None:
        if fault == HOLD:
            self.lines.release([process])
        elif fault.scope is Scope.NETWORK:
            self.faults.network.heal(injected)
        elif fault.scope is Scope.CLOCK and fault.repair is not None:
            self.faults.clocks.inject(fault.repair, process.machine)
        elif fault.scope is Scope.MACHINE and fault.repair is not None:
            self.faults.machines.inject(fault.repair, process.machine)
        elif fault.repair is not None and fault.repair.signal is not None:
            self.faults.processes.inject(fault.repair, process)
        if fault.repair in (START_AGAIN, POWER_ON):
            self._start_again(process)

    def _start_again(self, process: Process) -> None:
        ordered = clock.now()
        again = self.manager.start_again(process)
        wait_ready(self.manager, [again], None)
        self.begin(again)
        self.faults.processes.started_again(again, ordered)
