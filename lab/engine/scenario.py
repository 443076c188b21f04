"""The lab as a scenario sees it: start programs, wait for what they print, break things, wait."""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lab.core import clock
from lab.core.errors import LabError
from lab.core.records import LOST, Event, Record
from lab.core.vocabulary import PORT
from lab.engine.faults import Faults, checked
from lab.engine.finish import Finish
from lab.engine.ledger import Look
from lab.engine.monitor import RunMonitor
from lab.engine.network_faults import NetworkFaults
from lab.engine.process_manager import ProcessManager
from lab.engine.processes import Process, Processes
from lab.machines import traffic_rules
from lab.machines.remote import Remote


class TriggerMissed(Exception):
    """What a scenario waited for did not come, and can't come any more."""


@dataclass(slots=True, kw_only=True)
class Lab:
    """The machines of one run, and what can be done with and to them.

    `count` is how many messages the user wants, `interval` the seconds between two, `variant` the
    way in which the scenario is played, of those that its experiment names.
    """

    variant: str
    count: int
    interval: float
    manager: ProcessManager
    faults: Faults
    network_faults: NetworkFaults
    monitor: RunMonitor

    @property
    def plan(self) -> dict[str, Any]:
        """The flags of a program that sends what the user wants: `count` and `interval`."""
        return {"count": self.count, "interval": self.interval}

    def machines(self, role: str) -> list[str]:
        """Return the names of the machines with this role, in the inventory's order."""
        return self.manager.machines(role)

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
        target = None if to is None else self.manager.only(to)
        started = [
            self.manager.start(program, machine, target or machine, flags, args)
            for machine in self.manager.machines(on)
        ]
        self.manager.wait_ready(started, ready)
        return Processes(tuple(started), self.monitor)

    def address(self, where: str, *, port: int = PORT) -> str:
        """Return what to bind or connect to on a machine, or on the first one with a role."""
        return self.manager.address(self.manager.machines(where)[0], port)

    def fetch(self, where: Process | str, path: str) -> Path:
        """Fetch a file now from where programs run on a machine; return where it lies here.

        What programs of one's own have made or changed there is fetched at the end of the run in
        any case, into `<machine>/files` of the run directory. Raises LabError where it isn't there.
        """
        return self.manager.fetch(_machine(where), path)

    def start_again(self, process: Process) -> Process:
        """Give a program that has ended another life, with the flags of the one before.

        It is repaired when it is ready.
        """
        ordered = clock.now()
        again = self.manager.start_again(process)
        self.manager.wait_ready([again], None)
        ready = clock.now()
        took_s = ready - ordered
        self._event("repair", again, ready, repair="start again", verified=True, took_s=took_s)
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

    def when(self, condition: Callable[[RunMonitor], bool]) -> None:
        """Wait until a condition holds over what has been observed so far, by its counts.

        Such as `lambda seen: seen.received >= 0.4 * lab.count or seen.connected >= 4`: messages
        `sent`, messages `received`, and connections that programs of both ends told (`connected`).
        """
        self.monitor.wait(lambda: condition(self.monitor), "a count that was waited for")

    def let_pass(self, seconds: float) -> None:
        """Wait for a time, in experiments whose subject is time."""
        self.monitor.all_within(seconds, lambda: False)

    def kill(self, target: Process | Processes) -> None:
        """End all processes of a program by SIGKILL, and verify that they are gone."""
        self._hit("kill", target)

    def died(self, processes: Processes | Sequence[Process]) -> Process:
        """Return the first of these to kill itself at the message that its flag `--die-at` names.

        Exact where messages come faster than a kill from here. Raises TriggerMissed as `first`.
        """

        def dead() -> list[Process]:
            return [p for p in processes if p.ended and p.place in self.monitor.dying]

        self._wait_for(lambda: bool(dead()), list(processes), "came to the message")
        victim = dead()[0]
        self.faults.suffer("die_at", victim, self.monitor.dying[victim.place])
        return victim

    def terminate(self, target: Process | Processes) -> None:
        """End them by SIGTERM, as `kill` without a number does."""
        self._hit("terminate", target)

    def interrupt(self, target: Process | Processes) -> None:
        """End them by SIGINT, as Ctrl-C does."""
        self._hit("interrupt", target)

    def pause(self, target: Process | Processes) -> None:
        """Stop all processes of a program by SIGSTOP; `resume` lets them go on."""
        self._hit("pause", target)

    def resume(self, target: Process | Processes) -> None:
        """Let paused processes go on."""
        self._hit("resume", target)

    def cut_power(self, where: Process | str) -> None:
        """Switch a machine off as a power cut does: nothing that it had open says goodbye."""
        self._switch_off("cut_power", _machine(where))

    def shut_down(self, where: Process | str) -> None:
        """Switch a machine off in good order: its connections are closed as it goes."""
        self._switch_off("shut_down", _machine(where))

    def power_on(self, where: Process | str) -> None:
        """Switch a machine on again, and deploy to it again."""
        machine = _machine(where)

        def answers() -> bool:
            self.manager.readmit(machine)  # LabError where it doesn't
            return True

        self.faults.strike("power_on", machine, answers)

    def cut_cable(self, where: Process | str) -> None:
        """Unplug a machine's cable on the lab network; its programs go on."""
        machine = _machine(where)
        self.faults.strike("cut_cable", machine, lambda: _opposite(self._is_reached(machine)))

    def mend_cable(self, where: Process | str) -> None:
        """Plug a machine's cable in again."""
        machine = _machine(where)
        self.faults.strike("mend_cable", machine, lambda: self._is_reached(machine))

    def partition(
        self,
        these: str | Sequence[str],
        those: str | Sequence[str],
        *,
        one_way: bool = False,
        reject: bool = False,
    ) -> None:
        """Keep machines or roles apart on the lab network, until `heal`.

        With `one_way` only what `these` send to `those` is stopped. What is stopped vanishes; with
        `reject` it is answered by RST or ICMP.
        """
        self.network_faults.partition(
            self.manager.machines(these),
            self.manager.machines(those),
            one_way=one_way,
            reject=reject,
        )

    def slow(
        self, machine: str, *, delay_ms: float = 0, jitter_ms: float = 0, loss_percent: float = 0
    ) -> None:
        """Delay what a machine sends on the lab network, or lose some of it at random."""
        link = traffic_rules.link_of(self.manager.remotes[machine])
        change = traffic_rules.slowness(
            link, delay_ms=delay_ms, jitter_ms=jitter_ms, loss_percent=loss_percent
        )
        self.network_faults.slow(machine, change, {"fault": "slow", "delay_ms": delay_ms})

    def limit_rate(self, machine: str, *, kbit: int) -> None:
        """Let a machine send at most `kbit` kilobits a second on the lab network."""
        change = traffic_rules.rate(traffic_rules.link_of(self.manager.remotes[machine]), kbit=kbit)
        self.network_faults.slow(machine, change, {"fault": "rate", "kbit": kbit})

    def heal(self) -> None:
        """Undo all that `partition`, `slow` and `limit_rate` did."""
        self.network_faults.heal()

    def settle(self, quiet: float = 0.0) -> None:
        """Wait until every message that was sent has come, or all has been quiet for a while.

        What a receiver has traced as received, and not printed yet, is waited for longer.

        Arguments:
            quiet: seconds; if not longer, 2 x interval and at least half a second.
        """
        self._finish.wait_settled(quiet)

    def end(self, target: Process | Processes) -> None:
        """End a program as its work is done: no fault, SIGTERM first."""
        self.manager.end(target if isinstance(target, Processes) else (target,))

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
        self.manager.stop()
        with contextlib.suppress(LabError):  # the run's own trouble is the one to be told
            self.network_faults.heal(check=False)
        self.faults.repair(self._repair)

    @property
    def _finish(self) -> Finish:
        return Finish(self.manager, self.monitor)

    def _first(
        self, processes: Processes | Sequence[Process], prints: Callable[[str], bool], *, back: bool
    ) -> Process:
        candidates = {process.place: process for process in processes}
        look = Look(candidates.keys(), prints)
        with self.monitor.looking(look, back=back):
            self.manager.warm_up()
            self._wait_for(
                lambda: look.found is not None, list(candidates.values()), "printed the line"
            )
        record = self.faults.trigger = cast(Record, look.found)
        process = candidates[record.machine, record.process]
        self._event("trigger", process, record.t, fired=True, n=record.n, text=record.shown)
        return process

    def _wait_for(self, found: Callable[[], bool], candidates: list[Process], what: str) -> None:
        """Wait for what these have to do; give up when it can't come any more."""
        whom = ", ".join(map(str, candidates))

        def over() -> bool:
            return found() or all(process.ended for process in candidates)

        def another_ended() -> bool:
            return any(p.ended and p.blame in ("itself", LOST) for p in self.manager.processes)

        self.monitor.wait(lambda: over() or another_ended(), whom)
        self.monitor.wait(over, whom, self._finish.silent_until)
        if not found():
            raise TriggerMissed(f"{whom} never {what} that was waited for")

    def _hit(self, fault: str, target: Process | Processes) -> None:
        for process in target if isinstance(target, Processes) else (target,):
            self.faults.hit(fault, process)

    def _switch_off(self, fault: str, machine: str) -> None:
        for process in self.manager.processes:
            if process.machine == machine and not process.ended:
                process.blame = "fault"
        gone = self.manager.remotes[machine]
        self.faults.strike(fault, machine, lambda: _opposite(self._is_there(machine)))
        gone.close()  # nobody answers there any more: don't wait for them

    def _is_reached(self, machine: str) -> bool | None:
        """Whether another machine's datagrams get to it; None where there is no other one."""
        remotes = self.manager.remotes
        other = self._other(machine)
        if other is None:
            return None
        return checked(lambda: traffic_rules.reaches(other, remotes[machine]))

    def _is_there(self, machine: str) -> bool | None:
        """Whether a machine answers another on the lab network; None where there is no other."""
        remotes = self.manager.remotes
        other = self._other(machine)
        if other is None:
            return None
        return checked(lambda: traffic_rules.is_there(other, remotes[machine]))

    def _other(self, machine: str) -> Remote | None:
        """Return a machine that can look at another from outside."""
        broken = {name for name, _ in self.faults.broken}
        others = (r for r in self.manager.remotes.values() if r.name not in {machine, *broken})
        return next(others, None)

    def _repair(self, repair: str, target: Process | str) -> None:
        if isinstance(target, Process) and target.ended:
            return
        with contextlib.suppress(LabError):
            getattr(self, repair)(target)

    def _event(self, name: str, process: Process, t: float, **details: Any) -> None:
        machine, process_name = process.place
        self.monitor.event(
            Event(t=t, event=name, machine=machine, process=process_name, details=details)
        )


def _opposite(known: bool | None) -> bool | None:
    return None if known is None else not known


def _machine(where: Process | str) -> str:
    return where if isinstance(where, str) else where.machine
