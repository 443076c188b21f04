"""All faults of a run: injected according to their scope, and all undone at the end.

The faults themselves are values, in `core.faults`. Each is `verified` only by a check of its
own. What nothing could check is `verified: null`, what a check contradicts `verified: false`;
claims rely on neither.
"""

import contextlib
from dataclasses import dataclass

from pushpull.core.errors import LabError
from pushpull.engine.active_faults import ActiveFaults
from pushpull.engine.clock_faults import ClockFaults
from pushpull.engine.fault_log import FaultLog
from pushpull.engine.machine_faults import MachineFaults
from pushpull.engine.network_faults import NetworkFaults
from pushpull.engine.process_faults import ProcessFaults
from pushpull.engine.process_manager import ProcessManager
from pushpull.machines.providers.base import Machines


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults of a run, by their scope, and the log that notes them."""

    log: FaultLog
    processes: ProcessFaults
    machines: MachineFaults
    network: NetworkFaults
    clocks: ClockFaults

    @classmethod
    def of(cls, supply: Machines, manager: ProcessManager) -> "Faults":
        """Return what does faults to the machines and processes of a run."""
        log, active = FaultLog(manager.monitor), ActiveFaults()
        return cls(
            log,
            ProcessFaults(log),
            MachineFaults(supply, manager, log, active),
            NetworkFaults(manager, log, active),
            ClockFaults(manager, log),
        )

    def undo(self) -> None:
        """Heal the network and repair the machines; what was done to processes ends with them."""
        with contextlib.suppress(LabError):  # the run's own trouble is the one to be reported
            self.network.heal(check=False)
        self.machines.undo()
