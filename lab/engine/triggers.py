"""Waits for what triggers a fault: a line, a count, or the choice of a target."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from pushpull.core.records import LOST, Event, Record
from pushpull.engine.fault_log import FaultLog
from pushpull.engine.finish import Finish
from pushpull.engine.ledger import Look
from pushpull.engine.observed import Observed
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process, Processes
from pushpull.engine.targets import Chosen, Target


class TriggerMissed(Exception):
    """What a scenario waited for did not happen, and can't happen any more."""


@dataclass(frozen=True, slots=True)
class Triggers:
    """What a scenario can wait for; the log gets each line that triggers a fault."""

    manager: ProcessManager
    log: FaultLog
    observed: Observed

    def first(
        self, processes: Processes | Sequence[Process], prints: Callable[[str], bool], *, back: bool
    ) -> Process:
        """Return the first of these to print such a line; see `Lab.first`."""
        candidates = {process.place: process for process in processes}
        look = Look(candidates.keys(), prints)
        missed = f"{names(candidates.values())} never printed the line that is the trigger"
        with self.log.monitor.looking(look, back=back):
            self.manager.warm_up()
            self.wait_for(lambda: look.found is not None, list(candidates.values()), missed)
        record = cast(Record, look.found)
        self.fired(record)
        return candidates[record.machine, record.process]

    def fired(self, record: Record) -> None:
        """Note that a line triggers the next fault."""
        self.log.trigger = record
        details = {"fired": True, "n": record.n, "text": record.shown}
        machine, process = record.machine, record.process
        self.log.monitor.event(
            Event(t=record.t, event="trigger", machine=machine, process=process, details=details)
        )

    def wait_for(
        self, found: Callable[[], bool], candidates: Sequence[Process], missed: str
    ) -> None:
        """Wait for something that these do; raise TriggerMissed if it can't happen any more."""
        whom, monitor = names(candidates), self.log.monitor

        def over() -> bool:
            return found() or all(process.ended for process in candidates)

        def another_ended() -> bool:
            return any(p.ended and p.ended_by in ("itself", LOST) for p in self.manager.processes)

        monitor.wait(lambda: over() or another_ended(), whom)
        monitor.wait(over, whom, Finish(self.manager, monitor).silent_until)
        if not found():
            raise TriggerMissed(missed)

    def chosen(self, target: Target) -> Chosen:
        """Return a target; if a function chooses it, wait until it does."""
        if not callable(target):
            return target
        choose, choices = target, list[Chosen]()

        def chosen() -> bool:
            if not choices and (choice := choose(self.observed)) is not None:
                choices.append(choice)
            return bool(choices)

        missed = "the function that should choose a target never returned one"
        self.wait_for(chosen, list(self.manager.processes), missed)
        return choices[0]


def names(processes: Iterable[Process]) -> str:
    """Return processes as a list for a reader."""
    return ", ".join(map(str, processes))
