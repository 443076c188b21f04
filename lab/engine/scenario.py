"""The lab as a scenario sees it: start programs, wait for what they print, break things, wait."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from lab.core import clock, faults
from lab.core.errors import LabError
from lab.core.faults.fault import Fault, Scope
from lab.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from lab.core.faults.network import PARTITION, RATE, REJECT, SLOW
from lab.core.faults.process import INTERRUPT, KILL, PAUSE, RESUME, TERMINATE
from lab.core.records import LOST, Event, Record
from lab.core.vocabulary import PORT
from lab.engine.faults import Faults
from lab.engine.finish import Finish
from lab.engine.ledger import Look
from lab.engine.observed import Observed
from lab.engine.process_manager import ProcessManager
from lab.engine.processes import Process, Processes
from lab.engine.targets import Chosen, Target, places_in, processes_in

_T = TypeVar("_T")


class TriggerMissed(Exception):
    """What a scenario waited for did not come, and can't come any more."""


class Lab:
    """The machines of one run, and what can be done with and to them.

    A *target* is a process, the processes of one `start`, a machine, a role, or a list of these; or
    a function that chooses one by what was `Observed`. While it returns None, the lab waits: until
    it chooses, or TriggerMissed is raised as by `first`.

    Attributes:
        count: how many messages the user wants.
        interval: the seconds between two of them.
        variant: the way in which the scenario is played, of those that its experiment names.
    """

    def __init__(
        self, manager: ProcessManager, faults: Faults, *, variant: str, count: int, interval: float
    ) -> None:
        self.variant = variant
        self.count = count
        self.interval = interval
        self._manager = manager
        self._monitor = manager.monitor
        self._faults = faults
        self._observed = Observed(manager.monitor, manager)

    @property
    def plan(self) -> dict[str, Any]:
        """The flags of a program that sends what the user wants: `count` and `interval`."""
        return {"count": self.count, "interval": self.interval}

    def machines(self, role: str) -> list[str]:
        """Return the names of the machines with this role, in the inventory's order."""
        return self._manager.machines(role)

    def start(
        self,
        program: str,
        *,
        on: str | Sequence[str],
        to: str | Sequence[str] | None = None,
        ready: Callable[[str], bool] | None = None,
        args: Sequence[Any] = (),
        **flags: Any,
    ) -> Processes:
        """Start a program on machines, and return when it is ready on each.

        Arguments:
            program: its name, without the ending.
            on: a role, a machine, or a list of these.
            to: the machine whose address it gets, or a role that one machine has; by default the
                address is its own.
            ready: tells the line on stdout by which a program says that it's ready; the lab's own
                programs say so themselves, another is ready when started.
            args: words that follow the flags, as they are.
            flags: `high_water_mark=5` is given as `--high-water-mark 5`, a list's name once for
                each value, True as the name alone, False and None not at all.

        Raises LabError when it ends, or isn't ready in time.
        """
        target = None if to is None else self._manager.only(to)
        started = [
            self._manager.start(program, machine, target or machine, flags, args)
            for machine in self._manager.machines(on)
        ]
        self._manager.wait_ready(started, ready)
        return Processes(tuple(started), self._monitor)

    def address(self, where: str, *, port: int = PORT) -> str:
        """Return what to bind or connect to on a machine, or on the first one with a role."""
        return self._manager.address(self._manager.machines(where)[0], port)

    def fetch(self, where: Target, path: str) -> Path:
        """Fetch a file now from where programs run on a machine; return where it lies here.

        What programs of one's own have made or changed there is fetched at the end of the run in
        any case, into `<machine>/files` of the run directory. Raises LabError where it isn't there.
        """
        return self._manager.fetch(_only(self._machines(where), "machine"), path)

    def start_again(self, process: Target) -> Process:
        """Give a program that has ended another life, with the flags of the one before.

        It is repaired when it is ready.
        """
        ended = _only(self._processes(process), "process")
        ordered = clock.now()
        again = self._manager.start_again(ended)
        self._manager.wait_ready([again], None)
        self._faults.processes.started_again(again, ordered)
        return again

    def first(
        self, processes: Processes | Sequence[Process], *, prints: Callable[[str], bool]
    ) -> Process:
        """Return the first of these processes to print such a line; one that came already counts.

        It looks back over the last 50,000 lines of each. Raises TriggerMissed when all have ended,
        or when another has ended and all has been silent for as long as would end the run.
        """
        return self._first(processes, prints, back=True)

    def more(self, processes: Processes | Sequence[Process], *, lines: int) -> Process:
        """Wait until these have printed so many more lines; return the one that printed the last.

        Raises TriggerMissed as `first` does.
        """
        count = itertools.count(1)
        return self._first(processes, lambda _: next(count) >= lines, back=False)

    def when(self, condition: Callable[[Observed], bool]) -> None:
        """Wait until a condition holds over what has been observed so far, by its counts.

        Such as `lambda seen: seen.received >= 0.4 * lab.count or seen.connected >= 4`.
        """
        self._monitor.wait(lambda: condition(self._observed), "a count that was waited for")

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
        """Do any fault or repair of `lab.core.faults`; the methods below do it for one each.

        Arguments:
            fault: it, or its name.
            target: processes, or the machines that it is done to.
            others: of a fault between machines: those from which the target is kept.
            parameters: what the fault's `change` of the network takes.

        Raises LabError where there is no such fault, or it can't be done to this target.
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

        Exact where messages come faster than a kill from here. Raises TriggerMissed as `first`.
        """

        def dead() -> list[Process]:
            return [p for p in processes if p.ended and p.place in self._monitor.dying]

        candidates = list(processes)
        missed = f"{_names(candidates)} never came to the message that was waited for"
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
        """Stop all processes of a program by SIGSTOP; `resume` lets them go on."""
        self.inject(PAUSE, target)

    def resume(self, target: Target) -> None:
        """Let paused processes go on."""
        self.inject(RESUME, target)

    def cut_power(self, where: Target) -> None:
        """Switch a machine off as a power cut does: nothing that it had open says goodbye."""
        self.inject(CUT_POWER, where)

    def shut_down(self, where: Target) -> None:
        """Switch a machine off in good order: its connections are closed as it goes."""
        self.inject(SHUT_DOWN, where)

    def power_on(self, where: Target) -> None:
        """Switch a machine on again, and deploy to it again."""
        self.inject(POWER_ON, where)

    def cut_cable(self, where: Target) -> None:
        """Unplug a machine's cable on the lab network; its programs go on."""
        self.inject(CUT_CABLE, where)

    def mend_cable(self, where: Target) -> None:
        """Plug a machine's cable in again."""
        self.inject(MEND_CABLE, where)

    def partition(
        self, these: Target, those: Target, *, one_way: bool = False, reject: bool = False
    ) -> None:
        """Keep machines apart on the lab network, until `heal`.

        With `one_way` only what `these` send to `those` is stopped. What is stopped vanishes; with
        `reject` it is answered by RST or ICMP.
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
        """Wait until every message that was sent has come, or all has been quiet for a while.

        What a receiver has traced as received, and not printed yet, is waited for longer.

        Arguments:
            quiet: seconds; if not longer, 2 x interval and at least half a second.
        """
        self._finish.wait_settled(quiet)

    def end(self, target: Target) -> None:
        """End a program as its work is done: no fault, SIGTERM first."""
        self._manager.end(self._processes(target))

    def finish(self) -> str:
        """Wait for the end of the run, then end what still runs; return what was open then.

        See docs/when-a-run-ends.md. What is returned is a sentence for a reader; it is empty where
        nothing that the programs could still have printed was cut off.
        """
        self._finish.wait_over()
        still_open = self._finish.end_all()
        self.stop()
        return still_open

    def stop(self) -> None:
        """End every process, then repair what is broken.

        In this order: what a paused process or a cut cable held back shall not come after all.
        """
        self._manager.stop()
        self._faults.undo()

    @property
    def _finish(self) -> Finish:
        return Finish(self._manager, self._monitor)

    def _first(
        self, processes: Processes | Sequence[Process], prints: Callable[[str], bool], *, back: bool
    ) -> Process:
        candidates = {process.place: process for process in processes}
        look = Look(candidates.keys(), prints)
        missed = f"{_names(candidates.values())} never printed the line that was waited for"
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
        """Wait for what these have to do; raise TriggerMissed when it can't come any more."""
        whom = _names(candidates)

        def over() -> bool:
            return found() or all(process.ended for process in candidates)

        def another_ended() -> bool:
            return any(p.ended and p.blame in ("itself", LOST) for p in self._manager.processes)

        self._monitor.wait(lambda: over() or another_ended(), whom)
        self._monitor.wait(over, whom, self._finish.silent_until)
        if not found():
            raise TriggerMissed(missed)

    def _processes(self, target: Target) -> list[Process]:
        return processes_in(self._chosen(target))

    def _machines(self, target: Target) -> list[str]:
        return list(dict.fromkeys(self._manager.machines(places_in(self._chosen(target)))))

    def _chosen(self, target: Target) -> Chosen:
        """Return a target; where a function is to choose it, as soon as that does."""
        if not callable(target):
            return target
        choose, choices = target, list[Chosen]()

        def chosen() -> bool:
            if not choices and (choice := choose(self._observed)) is not None:
                choices.append(choice)
            return bool(choices)

        missed = "the function that was to choose a target never returned one"
        self._wait_for(chosen, list(self._manager.processes), missed)
        return choices[0]


def _names(processes: Iterable[Process]) -> str:
    return ", ".join(map(str, processes))


def _only(found: Sequence[_T], kind: str) -> _T:
    if len(found) != 1:
        raise LabError(f"this takes one {kind}, and the target is {len(found)}", hint="name one")
    return found[0]
