"""The lab as a scenario sees it: start programs, wait for their output, inject faults."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import nothing
from pushpull.core import clock, faults
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from pushpull.core.faults.network import PARTITION, RATE, REJECT, SLOW
from pushpull.core.faults.process import INTERRUPT, KILL, PAUSE, RESUME, TERMINATE
from pushpull.core.records import LOST, Event, Record
from pushpull.core.vocabulary import PORT
from pushpull.engine import session
from pushpull.engine.build import Parts
from pushpull.engine.finish import Finish
from pushpull.engine.ledger import Look
from pushpull.engine.observed import Observed
from pushpull.engine.processes import Process, Processes
from pushpull.engine.program import Command
from pushpull.engine.readiness import Ready, wait_ready
from pushpull.engine.targets import Chosen, Target, only, places_in, processes_in
from pushpull.runs import store


class TriggerMissed(Exception):
    """What a scenario waited for did not happen, and can't happen any more."""


class Lab:
    """The machines of one run, and everything that a scenario can do with them.

    A *target* is a process, the processes of one `start`, a machine, a role, or a list of these; or
    a function that chooses one by what was `Observed`. While the function returns None, the lab
    waits until it chooses, or raises TriggerMissed as `first` does.

    Attributes:
        count: how many messages the user wants.
        interval: the seconds between two of them.
        variant: which of its experiment's variants this run plays.
    """

    def __init__(self, parts: Parts, *, variant: str, count: int, interval: float) -> None:
        self.variant = variant
        self.count = count
        self.interval = interval
        self._parts = parts
        self._manager, self._monitor, self._faults = parts.manager, parts.monitor, parts.faults
        self._observed = Observed(parts.monitor, parts.manager)

    @staticmethod
    def up(
        inventory: str | Path | None = None, *, keep: bool = False, **wanted: Any
    ) -> AbstractContextManager["Lab"]:
        """Yield the machines of an inventory to a script, in a run of their own.

        At the end of the block all processes are ended, and the machines are as they were; a lab
        that was made for it goes down, unless `keep`.

        Arguments:
            inventory: its file; by default `inventory.yaml` in the current folder, or the lab's.
            keep: leave the lab up, for `ssh` and the next script.
            wanted: see `session.Script`, and `provider` and `runs` as for `run-experiment`.

        Raises LabError if a machine can't be brought up, or is unsuitable.
        """
        return session.opened(Lab, session.found(inventory), keep=keep, **wanted)

    @staticmethod
    def of(machines: int, *, keep: bool = False, **wanted: Any) -> AbstractContextManager["Lab"]:
        """Yield a lab of so many machines, `node-1` and so on, as `up` does."""
        return session.opened(Lab, session.counted(machines), keep=keep, **wanted)

    def run(self) -> Run:
        """End every process that is left, and return what happened, for the functions of claims."""
        self.stop()
        return Run(store.load(self.path), self._monitor.reads or nothing)

    @property
    def plan(self) -> dict[str, Any]:
        """The flags of a program that sends what the user wants: `count` and `interval`."""
        return {"count": self.count, "interval": self.interval}

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._manager.run

    def machines(self, role: str | None = None) -> list[str]:
        """Return the names of all machines, or of those with a role, in the inventory's order."""
        return [*self._manager.remotes] if role is None else self._manager.machines(role)

    def start(
        self,
        program: str | Sequence[str],
        *,
        on: str | Sequence[str],
        to: str | Sequence[str] | None = None,
        ready: Ready | None = None,
        args: Sequence[Any] = (),
        **flags: Any,
    ) -> Processes:
        """Start a program on machines, and return when it is ready on each.

        Arguments:
            program: its name, without extension; or the words of a command that the machines have,
                in which `{python}` is their lab Python.
            on: a role, a machine, or a list of these.
            to: the machine whose address it gets, or a role that one machine has; by default it
                gets its own.
            ready: what shows that the program is ready: a function that recognises a line on
                stdout, a TCP port on which its machine listens, or the words of a command that
                succeeds there. The lab's own programs report that themselves; another counts as
                ready when it is started.
            args: arguments that follow the flags, unchanged.
            flags: `high_water_mark=5` becomes `--high-water-mark 5`; a list repeats the name for
                each value, True gives the name alone, False and None give nothing.

        Raises LabError if it ends, or isn't ready in time.
        """
        target = None if to is None else self._manager.only(to)
        found = (
            self._manager.program(program) if isinstance(program, str) else Command(tuple(program))
        )
        started = [
            self._manager.start(found, machine, target or machine, flags, args)
            for machine in self._manager.machines(on)
        ]
        wait_ready(self._manager, started, ready)
        return Processes(tuple(started), self._monitor)

    def address(self, where: str, *, port: int = PORT) -> str:
        """Return the endpoint to bind or connect to, on a machine or the first with a role."""
        return self._manager.address(self._manager.machines(where)[0], port)

    def fetch(self, where: Target, path: str) -> Path:
        """Fetch a file now from the folder where programs run; return its local path.

        At the end of the run the lab fetches in any case what your own programs created or changed
        there, into `<machine>/files` of the run directory. Raises LabError if it doesn't exist.
        """
        return self._manager.fetch(only(self._machines(where), "machine"), path)

    def start_again(self, process: Target) -> Process:
        """Start a program that has ended once more, with the same flags.

        It counts as repaired when it is ready.
        """
        ended = only(self._processes(process), "process")
        ordered = clock.now()
        again = self._manager.start_again(ended)
        wait_ready(self._manager, [again], None)
        self._faults.processes.started_again(again, ordered)
        return again

    def first(
        self, processes: Processes | Sequence[Process], *, prints: Callable[[str], bool]
    ) -> Process:
        """Return the first of these processes to print such a line; earlier lines count too.

        It looks back over the last 50,000 lines of each. Raises TriggerMissed if all of them have
        ended, or if another one has ended and the silence is long enough to end the run.
        """
        return self._first(processes, prints, back=True)

    def more(self, processes: Processes | Sequence[Process], *, lines: int) -> Process:
        """Wait until these have printed so many more lines; return the process of the last line.

        Raises TriggerMissed as `first` does.
        """
        count = itertools.count(1)
        return self._first(processes, lambda _: next(count) >= lines, back=False)

    def when(self, condition: Callable[[Observed], bool]) -> None:
        """Wait until a condition on the counts observed so far is true.

        An example is `lambda seen: seen.received >= 0.4 * lab.count or seen.connected >= 4`.
        """
        self._monitor.wait(lambda: condition(self._observed), "a condition on the counts")

    def let_pass(self, seconds: float) -> None:
        """Wait for a time, in experiments whose subject is time."""
        self._monitor.all_within(seconds, lambda: False)

    def inject(
        self,
        fault: Fault | str,
        target: Target,
        *,
        others: Target | None = None,
        **parameters: Any,
    ) -> None:
        """Inject any fault or repair of `core.faults`; each method below injects one of them.

        Arguments:
            fault: the fault, or its name.
            target: the processes or machines that it affects.
            others: for a fault between machines, those from which the target is separated.
            parameters: the parameters of the fault's `change` of the network.

        Raises LabError if there is no such fault, or if it is impossible for this target.
        """
        wanted = faults.named(fault)
        match wanted.scope:
            case Scope.PROCESS:
                for process in self._processes(target):
                    self._faults.processes.inject(wanted, process)
            case Scope.MACHINE:
                for machine in self._machines(target):
                    self._faults.machines.inject(wanted, machine)
            case Scope.NETWORK:
                away = [] if others is None else self._machines(others)
                self._faults.network.inject(wanted, self._machines(target), away, **parameters)

    def kill(self, target: Target) -> None:
        """End all processes of a program by SIGKILL, and verify that they are gone."""
        self.inject(KILL, target)

    def died(self, processes: Processes | Sequence[Process]) -> Process:
        """Return the first of these to kill itself at the message that its flag `--die-at` names.

        This is exact even if messages are faster than a kill from here. Raises TriggerMissed as
        `first` does.
        """

        def dead() -> list[Process]:
            return [p for p in processes if p.ended and p.place in self._monitor.dying]

        candidates = list(processes)
        missed = f"{_names(candidates)} never reached the message at which to die"
        self._wait_for(lambda: bool(dead()), candidates, missed)
        victim = dead()[0]
        self._faults.processes.killed_itself(victim, self._monitor.dying[victim.place])
        return victim

    def terminate(self, target: Target) -> None:
        """End them by SIGTERM, as `kill` without a number does."""
        self.inject(TERMINATE, target)

    def interrupt(self, target: Target) -> None:
        """End them by SIGINT, as Ctrl-C does."""
        self.inject(INTERRUPT, target)

    def pause(self, target: Target) -> None:
        """Stop all processes of a program by SIGSTOP; `resume` continues them."""
        self.inject(PAUSE, target)

    def resume(self, target: Target) -> None:
        """Continue paused processes."""
        self.inject(RESUME, target)

    def cut_power(self, where: Target) -> None:
        """Switch a machine off as a power cut does: it closes none of its connections."""
        self.inject(CUT_POWER, where)

    def shut_down(self, where: Target) -> None:
        """Shut a machine down in an orderly way: it closes its connections."""
        self.inject(SHUT_DOWN, where)

    def power_on(self, where: Target) -> None:
        """Switch a machine on again, and deploy to it again."""
        self.inject(POWER_ON, where)

    def cut_cable(self, where: Target) -> None:
        """Unplug a machine's cable on the lab network; its programs keep running."""
        self.inject(CUT_CABLE, where)

    def mend_cable(self, where: Target) -> None:
        """Plug a machine's cable in again."""
        self.inject(MEND_CABLE, where)

    def partition(
        self, these: Target, those: Target, *, one_way: bool = False, reject: bool = False
    ) -> None:
        """Separate machines on the lab network, until `heal`.

        With `one_way`, only what `these` send to `those` is blocked. Blocked packets vanish; with
        `reject` the sender gets an RST or an ICMP error.
        """
        self.inject(REJECT if reject else PARTITION, these, others=those, one_way=one_way)

    def slow(
        self, where: Target, *, delay_ms: float = 0, jitter_ms: float = 0, loss_percent: float = 0
    ) -> None:
        """Delay what a machine sends on the lab network, or lose some of it at random."""
        self.inject(SLOW, where, delay_ms=delay_ms, jitter_ms=jitter_ms, loss_percent=loss_percent)

    def limit_rate(self, where: Target, *, kbit: int) -> None:
        """Let a machine send at most `kbit` kilobits a second on the lab network."""
        self.inject(RATE, where, kbit=kbit)

    def heal(self) -> None:
        """Undo every change of the network: all that `partition`, `slow` and `limit_rate` did."""
        self._faults.network.heal()

    def settle(self, quiet: float = 0.0) -> None:
        """Wait until every sent message has arrived, or until nothing was printed for a while.

        This waits longer for messages that a receiver has traced but not yet printed.

        Arguments:
            quiet: seconds of silence; at least 2 x interval, and at least half a second.
        """
        self._finish.wait_settled(quiet)

    def end(self, target: Target) -> None:
        """End a program whose work is done, with SIGTERM first; this is not a fault."""
        self._manager.end(self._processes(target))

    def finish(self) -> str:
        """Wait for the end of the run, then end running programs; return what was open then.

        See docs/when-a-run-ends.md. The result is a sentence for a reader; it is empty if the
        programs could not have printed any more messages.
        """
        self._finish.wait_over()
        still_open = self._finish.end_all()
        self.stop()
        return still_open

    def stop(self) -> None:
        """End every process, then repair what is broken."""
        self._parts.stop()

    @property
    def _finish(self) -> Finish:
        return Finish(self._manager, self._monitor)

    def _first(
        self, processes: Processes | Sequence[Process], prints: Callable[[str], bool], *, back: bool
    ) -> Process:
        candidates = {process.place: process for process in processes}
        look = Look(candidates.keys(), prints)
        missed = f"{_names(candidates.values())} never printed the line that is the trigger"
        with self._monitor.looking(look, back=back):
            self._manager.warm_up()
            self._wait_for(lambda: look.found is not None, list(candidates.values()), missed)
        record = self._faults.log.trigger = cast(Record, look.found)
        details = {"fired": True, "n": record.n, "text": record.shown}
        machine, process = record.machine, record.process
        self._monitor.event(
            Event(t=record.t, event="trigger", machine=machine, process=process, details=details)
        )
        return candidates[machine, process]

    def _wait_for(
        self, found: Callable[[], bool], candidates: Sequence[Process], missed: str
    ) -> None:
        """Wait for something that these do; raise TriggerMissed if it can't happen any more."""
        whom = _names(candidates)

        def over() -> bool:
            return found() or all(process.ended for process in candidates)

        def another_ended() -> bool:
            return any(p.ended and p.ended_by in ("itself", LOST) for p in self._manager.processes)

        self._monitor.wait(lambda: over() or another_ended(), whom)
        self._monitor.wait(over, whom, self._finish.silent_until)
        if not found():
            raise TriggerMissed(missed)

    def _processes(self, target: Target) -> list[Process]:
        return processes_in(self._chosen(target))

    def _machines(self, target: Target) -> list[str]:
        return list(dict.fromkeys(self._manager.machines(places_in(self._chosen(target)))))

    def _chosen(self, target: Target) -> Chosen:
        """Return a target; if a function chooses it, wait until it does."""
        if not callable(target):
            return target
        choose, choices = target, list[Chosen]()

        def chosen() -> bool:
            if not choices and (choice := choose(self._observed)) is not None:
                choices.append(choice)
            return bool(choices)

        missed = "the function that should choose a target never returned one"
        self._wait_for(chosen, list(self._manager.processes), missed)
        return choices[0]


def _names(processes: Iterable[Process]) -> str:
    return ", ".join(map(str, processes))
