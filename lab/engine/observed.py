"""The observations so far, for conditions and for functions that choose a target."""

from dataclasses import dataclass

from pushpull.engine.monitor import RunMonitor
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process


@dataclass(frozen=True, slots=True)
class Observed:
    """The counts of a run in progress; messages are those that the experiment's `reads` finds."""

    _monitor: RunMonitor
    _manager: ProcessManager

    @property
    def sent(self) -> int:
        """How many messages were sent."""
        return self._monitor.sent

    @property
    def received(self) -> int:
        """How many messages were received."""
        return self._monitor.received

    @property
    def connected(self) -> int:
        """How many connections were reported, by the programs on both ends."""
        return self._monitor.connected

    @property
    def last_receiver(self) -> Process | None:
        """The process that received the last message; None before the first one."""
        place = self._monitor.ledger.last_receiver
        return next((p for p in self._manager.processes if p.place == place), None)

    def received_by(self, process: Process) -> int:
        """Return how many messages a process has received."""
        return self._monitor.ledger.received_by[process.place]
