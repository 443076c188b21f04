"""Faults at an exact line: the program stands in the system call that prints it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault
from pushpull.core.faults.process import HOLD, PAUSE, RESUME
from pushpull.core.program_line import Line, ProgramLine
from pushpull.core.records import Record
from pushpull.engine.ledger import Look, Place
from pushpull.engine.process_faults import AtLine, ProcessFaults
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process
from pushpull.engine.triggers import Triggers


@dataclass(frozen=True, slots=True)
class LineFaults:
    """Does faults of processes at a line; each must have been started `held`.

    `paused` are those that stand still because they could not be held.
    """

    manager: ProcessManager
    faults: ProcessFaults
    triggers: Triggers
    paused: set[Place] = field(default_factory=set)

    def inject(self, fault: Fault, processes: Sequence[Process], at: Line) -> None:
        """Let processes run until a line, and do the fault to each as it stands there.

        Raises TriggerMissed if one can't print it any more, LabError if one can't be held at it.
        """
        stood = self.run_until(processes, ProgramLine.of(at))
        for process, record in zip(processes, stood, strict=True):
            self.triggers.fired(record)
            self.strike(fault, process, record.n + 1)

    def strike(self, fault: Fault, process: Process, number: int) -> None:
        """Do a fault to a process that stands at the line with this number; 0 is before any."""
        line = self._at_line(process, number)
        if fault == HOLD and line.late_because:
            self.paused.add(process.place)
            self.faults.inject(PAUSE, process, line)
        elif fault == HOLD:
            self.faults.note_held(process, line)
        else:
            self.faults.inject(fault, process, line)

    def release(self, processes: Sequence[Process]) -> None:
        """Let processes run on, past all further lines."""
        for process in processes:
            self._resume(process)
            ordered = clock.now()
            process.release()
            self.faults.note_released(process, ordered)

    def _resume(self, process: Process) -> None:
        """Let a process run on that was paused because it could not be held."""
        if process.place in self.paused:
            self.paused.remove(process.place)
            self.faults.inject(RESUME, process)

    def run_until_ready(self, processes: Sequence[Process], ready: Callable[[str], bool]) -> None:
        """Let each print one line after another until one says that it is ready."""
        for process in processes:
            number, (record,) = 1, self.run_until([process], ProgramLine(number=1))
            while not (record.shown is not None and ready(record.shown)):
                number += 1
                (record,) = self.run_until([process], ProgramLine(number=number))

    def run_until(self, processes: Sequence[Process], line: ProgramLine) -> list[Record]:
        """Return the record of the line at which each process stands."""
        self._require_possible(processes, line)
        looks = [Look({p.place}, matches=partial(_is_next, line, p.stood_at)) for p in processes]
        monitor = self.manager.monitor
        with monitor.looking(*looks):
            for process, look in zip(processes, looks, strict=True):
                if look.found is None:
                    self._resume(process)
                process.run_until(line.order)
            for process, look in zip(processes, looks, strict=True):
                missed = f"{process} never printed the line at which it was to stand"
                self.triggers.wait_for(partial(_is_found, look), [process], missed)
                process.stand(cast(Record, look.found).n + 1)
        return [cast(Record, look.found) for look in looks]

    def _require_possible(self, processes: Sequence[Process], line: ProgramLine) -> None:
        for process in processes:
            where = f"machine {process.machine}"
            if not process.is_held:
                raise LabError(
                    f"{process.name} can't be held at a line: it was not started for that,"
                    " or was released",
                    where=where,
                    hint="start it with lab.start(..., held=True)",
                )
            if 0 < line.number <= process.stood_at:
                raise LabError(
                    f"{process.name} can't be held at its line {line.number}:"
                    f" it stood at its line {process.stood_at} already",
                    where=where,
                    hint="name a later line",
                )

    def _at_line(self, process: Process, number: int) -> AtLine:
        why = process.not_held_at(number)
        return AtLine(number, why, lambda: self.manager.monitor.ledger.printed({process.place}))


def _is_next(line: ProgramLine, stood_at: int, record: Record) -> bool:
    return record.n >= stood_at and line.is_found_in(record)


def _is_found(look: Look) -> bool:
    return look.found is not None
