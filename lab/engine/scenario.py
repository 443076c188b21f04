"""The lab as a scenario sees it: start programs, wait for their output, inject faults."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import nothing
from pushpull.core import clock, faults
from pushpull.core.faults.clock import CORRECT_CLOCK, SET_CLOCK
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from pushpull.core.faults.process import HOLD, INTERRUPT, KILL, PAUSE, RESUME, TERMINATE
from pushpull.core.program_line import Line
from pushpull.core.vocabulary import PORT
from pushpull.engine import session
from pushpull.engine.build import Parts
from pushpull.engine.finish import Finish
from pushpull.engine.line_faults import LineFaults
from pushpull.engine.network_faults import Injected
from pushpull.engine.network_verbs import NetworkVerbs
from pushpull.engine.observed import Observed
from pushpull.engine.planning_verbs import PlanningVerbs
from pushpull.engine.processes import Process, Processes
from pushpull.engine.program import Command
from pushpull.engine.readiness import Ready, wait_ready
from pushpull.engine.targets import Target, only, places_in, processes_in
from pushpull.engine.triggers import Triggers, names
from pushpull.runs import store


class Lab(NetworkVerbs, PlanningVerbs):
    """The machines of one run, and everything that a scenario can do with them.

    A *target* is a process, the processes of one `start`, a machine, a role, or a list of these; or
    a function that chooses one by what was `Observed`. While the function returns None, the lab
    waits until it chooses, or raises TriggerMissed as `first` does.

    Attributes:
        count: how many messages the user wants.
        interval: the seconds between two of them.
        variant: which of its experiment's variants this run plays.
        parameters: the value of each parameter that its experiment declares.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        variant: str,
        count: int,
        interval: float,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.variant = variant
        self.parameters = dict(parameters or {})
        self.count = count
        self.interval = interval
        self._parts = parts
        self._manager, self._monitor, self._faults = parts.manager, parts.monitor, parts.faults
        self._observed = Observed(parts.monitor, parts.manager)
        self._triggers = Triggers(parts.manager, parts.faults.log, self._observed)
        self._lines = LineFaults(parts.manager, parts.faults.processes, self._triggers)

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
        held: bool = False,
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
            held: whether each stands before its first line on stdout, until `hold` or `kill` names
                the line at which it is to stand, or `release` lets it go; see docs/faults.md.
            args: arguments that follow the flags, unchanged.
            flags: `high_water_mark=5` becomes `--high-water-mark 5`; a list repeats the name for
                each value, True gives the name alone, False and None give nothing.

        An implementation's broker, if it has one, is started before its first other program.

        Raises LabError if it ends, or isn't ready in time.
        """
        target = None if to is None else self._manager.only(to)
        found = (
            self._manager.program(program) if isinstance(program, str) else Command(tuple(program))
        )
        machines = self._manager.machines(on)
        if found.speaks_protocol and (broker := self._manager.start_broker(target or machines[0])):
            wait_ready(self._manager, [broker], None)
        started, schedule = [], self._parts.schedule
        for machine in machines:
            hold = schedule.must_hold(found.name, machine, held=held)
            to_machine = target or machine
            one = self._manager.start(found, machine, to_machine, flags, args, held=hold)
            started.append(one)
        if callable(ready):
            self._lines.run_until_ready([p for p in started if p.is_held], ready)
        wait_ready(self._manager, started, ready)
        if not held:
            schedule.begin(*started)
        return Processes(tuple(started), self._monitor)

    @property
    def broker(self) -> Processes:
        """The last life of the server between senders and receivers; empty where there is none."""
        broker = self._manager.broker
        return Processes((broker,) if broker else (), self._monitor)

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
        self._parts.schedule.begin(again)
        self._faults.processes.started_again(again, ordered)
        return again

    def first(
        self, processes: Processes | Sequence[Process], *, prints: Callable[[str], bool]
    ) -> Process:
        """Return the first of these processes to print such a line; earlier lines count too.

        It looks back over the last 50,000 lines of each. Raises TriggerMissed if all of them have
        ended, or if another one has ended and the silence is long enough to end the run.
        """
        return self._triggers.first(processes, prints, back=True)

    def more(self, processes: Processes | Sequence[Process], *, lines: int) -> Process:
        """Wait until these have printed so many more lines; return the process of the last line.

        Raises TriggerMissed as `first` does.
        """
        count = itertools.count(1)
        return self._triggers.first(processes, lambda _: next(count) >= lines, back=False)

    def when(self, condition: Callable[[Observed], bool]) -> None:
        """Wait until a condition on the counts observed so far is true.

        An example is `lambda seen: seen.received >= 0.4 * lab.count or seen.connected >= 4`.
        """
        self._monitor.wait(lambda: condition(self._observed), "a condition on the counts")

    def always(self, condition: Callable[[Observed], bool], statement: str) -> None:
        """End the scenario as soon as a condition on the counts observed so far is false.

        It is looked at after each chunk of output and each event; `statement` is what it means, in
        words. What was captured until then is judged, and the run says what was broken.
        """
        self._monitor.always(lambda: condition(self._observed), statement)

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
    ) -> Injected:
        """Inject any fault or repair of `core.faults`; each method below injects one of them.

        Arguments:
            fault: the fault, or its name.
            target: the processes or machines that it affects.
            others: for a fault between machines, those from which the target is separated; `lose`
                and `cut_after` are limited to the traffic with them.
            parameters: those of the fault's `change` of the network, or of `set_clock`.

        A fault of the network can be healed by what this returns.

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
                where = self._machines(target)
                return self._faults.network.inject(wanted, where, away, **parameters)
            case Scope.CLOCK:
                for machine in self._machines(target):
                    self._faults.clocks.inject(wanted, machine, **parameters)
        return Injected(wanted)

    def kill(self, target: Target, *, at: Line | None = None) -> None:
        """End all processes of a program by SIGKILL, and verify that they are gone.

        With `at`, a line as in `hold`, they do nothing after printing that line. Raises as `hold`.
        """
        if at is None:
            self.inject(KILL, target)
        else:
            self._lines.inject(KILL, self._processes(target), at)

    def hold(self, target: Target, *, at: Line) -> None:
        """Let programs run until a line of their stdout, at which each stands until `release`.

        A program that stands has printed the line, and its call that prints has not returned.

        Arguments:
            target: programs that were started with `held=True` and were not released.
            at: the number of a line (the first is 1), or what the next line begins with, or a
                regular expression that is found in it.

        Where a machine can't hold a program, it is paused some lines late, as its event says.
        Raises TriggerMissed as `first` does, and LabError if they can't stand at this line.
        """
        self._lines.inject(HOLD, self._processes(target), at)

    def release(self, target: Target) -> None:
        """Let programs that were started with `held=True` run on, past all further lines."""
        self._lines.release(self._processes(target))

    def died(self, processes: Processes | Sequence[Process]) -> Process:
        """Return the first of these to kill itself at the message that its flag `--die-at` names.

        This is exact even if messages are faster than a kill from here. Raises TriggerMissed as
        `first` does.
        """

        def dead() -> list[Process]:
            return [p for p in processes if p.ended and p.place in self._monitor.dying]

        candidates = list(processes)
        missed = f"{names(candidates)} never reached the message at which to die"
        self._triggers.wait_for(lambda: bool(dead()), candidates, missed)
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

    def set_clock(self, where: Target, *, ahead_s: float) -> None:
        """Set a machine's wall clock so far ahead of the computer's, or behind if negative.

        The programs there see it, now and when they read it next, except static ones; those that
        run already do if the experiment declares `faults=("set_clock",)`. See docs/faults.md.
        """
        self.inject(SET_CLOCK, where, ahead_s=ahead_s)

    def correct_clock(self, where: Target) -> None:
        """Set a machine's wall clock right again."""
        self.inject(CORRECT_CLOCK, where)

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
        self._parts.schedule.wait()
        still_open = self._finish.end_all(resting=self._finish.wait_over())
        self.stop()
        return still_open

    def stop(self) -> None:
        """End every process, then repair what is broken."""
        self._parts.stop()

    @property
    def _finish(self) -> Finish:
        return Finish(self._manager, self._monitor)

    def _processes(self, target: Target) -> list[Process]:
        return processes_in(self._triggers.chosen(target))

    def _machines(self, target: Target) -> list[str]:
        return list(dict.fromkeys(self._manager.machines(places_in(self._triggers.chosen(target)))))
