"""The lab as a scenario sees it: start programs, wait for what they print, break things, wait."""

import itertools
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab import faults, own
from lab.capture import Capture
from lab.errors import LabError
from lab.processes import Process, Processes, Program
from lab.records import Event, Record
from lab.remote import Remote
from lab.watch import Watch

PORT = 1234
READY_TIMEOUT_S = 30
QUIET_AT_LEAST_S = 0.5
_GRACE_S = 2.0
_NOT_STARTED = (126, 127)  # the launcher's status, and a shell's, for what can't be run


class TriggerMissed(Exception):
    """What a scenario waited for did not come, and can't come any more."""


@dataclass(slots=True, kw_only=True)
class Lab:
    """The machines of one run, and what can be done with them.

    Attributes:
        count, interval: how many messages the user wants, and seconds between two.
        options: socket options as `NAME=VALUE`, for the lab's own programs.
    """

    count: int
    interval: float
    options: Sequence[str]
    remotes: Mapping[str, Remote]
    programs: Mapping[str, Program]
    folder: str
    capture: Capture
    watch: Watch
    processes: list[Process] = field(default_factory=list)
    _trigger: Record | None = None
    _deployed: set[tuple[str, str]] = field(default_factory=set)

    @property
    def plan(self) -> dict[str, Any]:
        """The flags of a program that sends what the user wants: `count` and `interval`."""
        return {"count": self.count, "interval": self.interval}

    def machines(self, role: str) -> list[str]:
        """Return the names of the machines with this role, in the inventory's order."""
        found = [r.name for r in self.remotes.values() if r.access.role == role]
        if not found:
            raise LabError(
                f"no machine has the role '{role}'", cure="give it to one in the inventory"
            )
        return found

    def start(
        self,
        program: str,
        *,
        on: str | Sequence[str],
        to: str | None = None,
        ready: Callable[[str], bool] | None = None,
        **flags: Any,
    ) -> Processes:
        """Start a program on machines, and return when it is ready on each.

        Arguments:
            program: its name, without the ending.
            on: a role, a machine, or a list of machines.
            to: the role or machine whose address it gets; by default the address is its own.
            ready: tells the line on stdout by which a program says that it's ready; the lab's own
                programs say so themselves, another is ready when started.
            flags: given as `--name value`; of a list each value is given so, and of True the
                name alone.

        Raises LabError when it ends, or isn't ready in time.
        """
        machines = self._machines(on)
        target = None if to is None else self._machines(to)[0]
        started = [self._start(program, machine, target or machine, flags) for machine in machines]
        self._wait_ready(started, ready)
        return Processes(tuple(started), self.watch)

    def address(self, where: str, *, port: int = PORT) -> str:
        """Return what to bind or connect to on a machine, or on the first one with a role."""
        return f"tcp://{self.remotes[self._machines(where)[0]].access.address}:{port}"

    def start_again(self, process: Process) -> Process:
        """Give a program that has ended another life, with the flags of the one before."""
        again = self._new(process.program, process.machine)
        again.start(self.capture, self.folder, process.flags, process.environment)
        self._event("repair", again, repair="start again")
        self._wait_ready([again], None)
        return again

    def first(
        self, processes: Processes | Sequence[Process], *, prints: Callable[[str], bool]
    ) -> Process:
        """Return the first of these processes to print such a line; one that came already counts.

        Raises TriggerMissed when all have ended, or all has been quiet since another ended.
        """
        candidates = {(process.machine, process.name): process for process in processes}
        found: list[Record] = []

        def look(record: Record) -> None:
            if found or record.stream != "stdout" or record.text is None:
                return
            if (record.machine, record.process) in candidates and prints(record.text):
                found.append(record)

        self.watch.look_at_each(look)
        self._wait_for(found, list(candidates.values()))
        record = found[0]
        process = candidates[record.machine, record.process]
        self._trigger = record
        self._event("trigger", process, t=record.t, fired=True, n=record.n, text=record.text)
        return process

    def more(self, processes: Processes | Sequence[Process], *, lines: int) -> Process:
        """Wait until these have printed so many more lines; return the one that printed the last.

        Raises TriggerMissed as `first` does.
        """
        goal = self.watch.printed({(p.machine, p.name) for p in processes}) + lines
        count = itertools.count(1)
        return self.first(processes, prints=lambda _: next(count) >= goal)

    def kill(self, target: Process | Processes) -> None:
        """End all processes of a program by SIGKILL, and verify that they are gone."""
        for process in target if isinstance(target, Processes) else (target,):
            process.blame = "itself" if process.ended else "fault"
            done = faults.kill(process)
            self._fault("kill", process, done)

    def settle(self, quiet: float = 0.0) -> None:
        """Wait until every message that was sent has come, or all has been quiet for a while.

        Arguments:
            quiet: seconds; if not longer, 2 x interval and at least half a second.
        """
        quiet_s = max(quiet, QUIET_AT_LEAST_S, 2 * self.interval)
        self.watch.wait(self.watch.all_accounted_for, "the last messages", quiet_s)

    def end(self, target: Process | Processes) -> None:
        """End a program as its work is done: no fault, SIGTERM first."""
        self._end(target if isinstance(target, Processes) else (target,))

    def finish(self) -> None:
        """Wait for the end of the run, then end what still runs, gently first.

        The end is when every message is accounted for, or when all has been quiet for long enough
        that none can be on its way. Raises LabError for a program that could not be started.
        """
        for process in self.processes:
            if process.status in _NOT_STARTED and process.blame == "itself":
                raise _not_ready(process, in_time=True)
        self.settle()
        self.stop()

    def stop(self) -> None:
        """End every process: by SIGTERM, and by SIGKILL what is left after two seconds."""
        self._end(self.processes)

    def _end(self, processes: Iterable[Process]) -> None:
        running = [process for process in processes if not process.ended]
        for process in running:
            process.blame = "harness"
            process.signal(signal.SIGTERM)
        if not self.watch.settled_within(_GRACE_S, lambda: all(p.ended for p in running)):
            for process in running:
                process.end()
            self.watch.settled_within(_GRACE_S, lambda: all(p.ended for p in running))

    def _machines(self, where: str | Sequence[str]) -> list[str]:
        if not isinstance(where, str):
            return list(where)
        return [where] if where in self.remotes else self.machines(where)

    def _start(self, program: str, machine: str, target: str, flags: Mapping[str, Any]) -> Process:
        if program not in self.programs:
            known = ", ".join(sorted({found.name for found in self.programs.values()}))
            raise LabError(f"there is no program '{program}'", cure=f"there are: {known}")
        own.require_runnable(self.programs[program])
        process = self._new(self.programs[program], machine)
        self._deploy(process)
        address = self.address(target)
        told = {"address": address, **flags} if process.program.ours else flags
        process.flags = [text for name, value in told.items() for text in _flag(name, value)]
        if process.program.ours:
            process.flags += ["--trace", *(text for o in self.options for text in ("--set", o))]
        process.environment = {
            "PYTHONUNBUFFERED": "1",
            "LAB_MACHINE": machine,
            "LAB_ADDRESS": address,
            "LAB_HOST": self.remotes[target].access.address,
            "LAB_PORT": str(PORT),
            "LAB_COUNT": str(self.count),
            "LAB_INTERVAL": str(self.interval),
        }
        role = self.remotes[machine].access.role
        self._event("start", process, program=program, role=role)
        process.start(self.capture, self.folder, process.flags, process.environment)
        return process

    def _deploy(self, process: Process) -> None:
        """Put one of the lab's programs on a machine when it's first needed: there are many."""
        place = (process.machine, process.program.name)
        if process.program.ours and place not in self._deployed:
            path = process.program.path
            process.remote.put(self.folder, {path.name: path})
            self._deployed.add(place)

    def _new(self, program: Program, machine: str) -> Process:
        lives = sum(p.machine == machine and p.program.name == program.name for p in self.processes)
        name = program.name if lives == 0 else f"{program.name}.{lives + 1}"
        process = Process(name, program, self.remotes[machine], self.watch)
        self.processes.append(process)
        return process

    def _wait_ready(self, started: list[Process], ready: Callable[[str], bool] | None) -> None:
        said: set[tuple[str, str]] = set()

        def look(record: Record) -> None:
            if ready and record.stream == "stdout" and record.text and ready(record.text):
                said.add((record.machine, record.process))

        def is_ready(process: Process) -> bool:
            if ready:
                return (process.machine, process.name) in said
            return process.is_ready or not process.program.ours

        self.watch.look_at_each(look)
        in_time = self.watch.all_within(
            READY_TIMEOUT_S, lambda: any(p.ended for p in started) or all(map(is_ready, started))
        )
        for process in started:
            if not is_ready(process):
                raise _not_ready(process, in_time)

    def _wait_for(self, found: list[Record], candidates: list[Process]) -> None:
        """Wait for a record; give up when it can't come any more."""
        whom = ", ".join(map(str, candidates))

        def over() -> bool:
            return bool(found) or all(process.ended for process in candidates)

        def another_ended() -> bool:
            return any(p.ended and p.blame == "itself" for p in self.processes)

        self.watch.wait(lambda: over() or another_ended(), whom)
        self.watch.wait(over, whom, max(QUIET_AT_LEAST_S, 2 * self.interval))
        if not found:
            raise TriggerMissed(f"{whom} never printed the line that was waited for")

    def _fault(self, name: str, process: Process, done: faults.Done) -> None:
        details: dict[str, Any] = {"fault": name, "verified": done.effect is not None}
        effect = done.effect or time.time()
        details["took_s"] = effect - done.ordered
        if self._trigger is not None:
            details["trigger_to_effect_s"] = effect - self._trigger.t
        self._event("fault", process, t=effect, **details)

    def _event(
        self, name: str, process: Process, *, t: float | None = None, **details: Any
    ) -> None:
        self.watch.event(
            Event(
                t=time.time() if t is None else t,
                event=name,
                machine=process.machine,
                process=process.name,
                details=details,
            )
        )


def _flag(name: str, value: Any) -> Iterator[str]:
    for one in value if isinstance(value, list | tuple) else [value]:
        yield from [f"--{name}"] if one is True else [f"--{name}", str(one)]


def _not_ready(process: Process, in_time: bool) -> LabError:
    if process.ended:
        what = f"{process.name} ended before it was ready, with exit status {process.status}"
    elif in_time:
        what = f"{process.name} was not ready when another ended"
    else:
        what = f"{process.name} was not ready after {READY_TIMEOUT_S} s"
    return LabError(
        what,
        where=f"machine {process.machine}",
        cure=f"run it by hand: fab ssh --machine {process.machine}",
        output=process.tail(),
    )
