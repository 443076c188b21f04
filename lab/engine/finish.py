"""Ends a run: applies the rules of `ending` to its processes and messages."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pushpull.core.wording import joined, listed
from pushpull.engine import stillborn
from pushpull.engine.ending import (
    AT_WORK_S,
    RESTS,
    Ends,
    Living,
    may_take_its_time,
    silence_s,
    still_open,
)
from pushpull.engine.ledger import Place
from pushpull.engine.monitor import LimitReached, RunMonitor
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process
from pushpull.engine.standstill import Standstill
from pushpull.machines.pool import at_once

_LAST = "the last messages"


@dataclass(frozen=True, slots=True)
class Finish:
    """Waits for what programs may still print, and reports what was open when they stopped."""

    manager: ProcessManager
    monitor: RunMonitor

    def wait_settled(self, quiet_s: float) -> None:
        """Wait until every message has arrived, or nothing was printed for so many seconds."""

        def silent_until(last: float) -> float:
            holding = set(self.monitor.ledger.in_hand())
            at_work = any(one.place in holding for one in self._living)
            return last + max(quiet_s, self.monitor.plan.quiet_s, AT_WORK_S if at_work else 0.0)

        self.monitor.wait(lambda: self.monitor.ledger.all_came, _LAST, silent_until)

    def wait_over(self) -> Collection[Place]:
        """Wait until nothing more can arrive, or silence indicates that nothing will.

        Returns the receivers that still rest at the run's limit, and may have messages waiting.
        Raises LabError if all processes of a program failed before they printed anything.
        """
        stillborn.require_none(self.manager.processes, self.monitor)
        seen: Mapping[Place, Standstill] = {}
        came = -1
        try:
            while not self.monitor.wait(self._is_over, _LAST, self.silent_until):
                came = self.monitor.sent + self.monitor.received
                before, seen = seen, self._standstills()
                if not (self._resting(seen, before) or any(s.stopped for s in seen.values())):
                    break
                self.monitor.notify()  # its silence means nothing: keep waiting, up to the limit
        except LimitReached:
            is_silent = came == self.monitor.sent + self.monitor.received
            if not (is_silent and (resting := self._resting(self._standstills(), seen))):
                raise
            return resting
        return ()

    def silent_until(self, last: float) -> float:
        """Return when silence since `last` indicates the end (monotonic seconds)."""
        ledger, living, reads = self.monitor.ledger, self._living, self.monitor.reads_messages
        until = last + silence_s(self.monitor.plan, ledger, living, reads=reads)
        if time.monotonic() >= until:  # only then, as it takes a look at each message
            until = last + max(until - last, self._rest_s())
        if may_take_its_time(self.monitor.plan, ledger, living, reads=reads):
            return max(until, self.monitor.planned_end)
        return until

    def _rest_s(self) -> float:
        """Return how long a receiver may rest for which messages may wait."""
        ledger, waited_for = self.monitor.ledger, self._waited_for()
        if waited_for and self.monitor.faults:
            return AT_WORK_S
        longest = max((ledger.longest_gap(place) for place in waited_for), default=0.0)
        return min(AT_WORK_S, RESTS * longest)

    def end_all(self, resting: Collection[Place]) -> str:
        """End every process; return a sentence about what was open then, empty if nothing was.

        `resting` receivers have their messages waiting, however long they have been silent.
        """
        with self.monitor.news:
            ledger, missing = self.monitor.ledger, self.monitor.ledger.missing()
            received = ledger.received
            at_work = still_open(self.monitor.plan, ledger, replace(self._ends(), resting=resting))
        self.manager.stop()
        if missing and ledger.received > received:
            return "Some messages arrived only after the lab had begun to end the programs."
        if not at_work:
            return ""
        names = joined([f"{process} on {machine}" for machine, process in at_work])
        return (
            f"When the lab ended the run, {names} might still have printed {listed(missing)}:"
            f" whether {'that was' if len(missing) == 1 else 'those were'} lost is not known."
        )

    @property
    def _living(self) -> list[Living]:
        """The processes that can print something more."""
        return [
            Living(place=process.place, traces=process.program.traces_messages)
            for process in self.manager.processes
            if not (process.ended or process.paused or process.program.is_broker)
        ]

    def _ends(self) -> Ends:
        """Return which programs there are at the ends of connections, and in which state."""
        ledger, living = self.monitor.ledger, self._living
        senders = [p for p in self.manager.processes if p.place in ledger.senders]
        receivers = [
            p
            for p in self.manager.processes
            if not (p.place in ledger.senders or p.program.is_broker)
        ]
        cut_off = {p.place for p in receivers if self._is_cut_off(p, senders)}
        silent = [p.place for p in receivers if p.place in cut_off or (p.paused and not p.ended)]
        reached = [one for one in living if one.place not in {*cut_off, *ledger.senders}]
        return Ends(
            living=living,
            cut_off=cut_off,
            silent=silent,
            ended=[p.place for p in receivers if p.ended and p.place not in cut_off],
            unsent={ledger.last_sent(p.place) for p in senders if p.status != 0},
            spare=self._connections(senders, len(reached)),
            broken=self.monitor.faults > 0,
            silence_s=self.monitor.silence_s,
        )

    def _is_cut_off(self, receiver: Process, senders: Sequence[Process]) -> bool:
        """Return whether a fault keeps a receiver from every sender, or keeps its machine off."""
        isolation = self.monitor.isolation
        if isolation.is_off(receiver.machine):
            return True
        apart = [isolation.are_apart(receiver.machine, sender.machine) for sender in senders]
        return bool(apart) and all(apart)

    def _connections(self, senders: Sequence[Process], reached: int) -> int | None:
        """Return how many connections the only sender has to receivers that are not reached.

        None if that isn't known: its library doesn't report them, or there are several senders.
        """
        if len(senders) != 1 or self.manager.broker is not None:
            return None
        open_ones = self.monitor.connections.get(senders[0].place)
        return None if open_ones is None else open_ones - reached

    def _is_over(self) -> bool:
        """Whether nothing more can arrive; called under the lock, like all wait conditions."""
        if all(p.ended or p.program.is_broker for p in self.manager.processes):
            return True
        sources = self.monitor.ledger.sources
        return self.monitor.ledger.all_came and not any(o.place in sources for o in self._living)

    def _waited_for(self, resting: Collection[Place] = ()) -> list[Place]:
        """Return the receivers for which messages may wait, however long they have been silent."""
        ends = replace(self._ends(), silence_s=0.0, resting=resting)
        return still_open(self.monitor.plan, self.monitor.ledger, ends)

    def _standstills(self) -> Mapping[Place, Standstill]:
        """Return what keeps each process from printing that could print what is missing."""
        if self.monitor.reads_messages and not self.monitor.ledger.outstanding:
            return {}
        living = {one.place for one in self._living}
        candidates = {str(p): p for p in self.manager.processes if p.place in living}
        found = at_once(candidates, Process.standstill)
        return {candidates[name].place: one for name, one in found.items()}

    def _resting(
        self, seen: Mapping[Place, Standstill], before: Mapping[Place, Standstill]
    ) -> Collection[Place]:
        """Return the receivers that rest or work, and for which messages may wait."""
        found = {p for p, one in seen.items() if one.is_rest(before.get(p, Standstill()))}
        with self.monitor.news:
            return found.intersection(self._waited_for(found))
