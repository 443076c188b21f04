"""Faults of processes: signals to all processes of a program, which its launcher verifies."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushpull.core import clock
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Check, Fault
from pushpull.core.faults.process import DIE_AT, HOLD, RELEASE, START_AGAIN
from pushpull.engine.fault_log import FaultLog
from pushpull.engine.processes import Process

VERIFY_TIMEOUT_S = 10
_DRIFT_S = 1.0  # of a machine's clock since it was compared with ours


@dataclass(frozen=True, slots=True)
class AtLine:
    """The line at which a process stands for a fault.

    Attributes:
        number: the line's, the first is 1.
        late_because: why it could not be held there; empty if it stands there.
        printed: returns how many lines it has printed.
    """

    number: int
    late_because: str
    printed: Callable[[], int]

    @property
    def details(self) -> dict[str, Any]:
        """What the event of the fault says of it, once the fault has taken effect."""
        late = self.printed() - self.number
        why = {"late_because": self.late_because} if self.late_because else {}
        return {"line": self.number, "late_lines": late, **why}


@dataclass(frozen=True, slots=True)
class ProcessFaults:
    """Injects faults of processes, and repairs them."""

    log: FaultLog

    def inject(self, fault: Fault, process: Process, line: AtLine | None = None) -> None:
        """Apply a fault or a repair to all processes of a program; LabError if it has no signal.

        `line` is where the program stands for it, if it does. Unless the signal kills it there, the
        program runs on as soon as it has the signal, which takes effect before all else.
        """
        if fault.signal is None:
            raise LabError(
                f"'{fault}' is not a signal that can be sent to {process}",
                hint="docs/faults.md names the call for it",
            )
        ordered = clock.now()
        _expect(fault, process)
        if line and not line.late_because and fault.signal != signal.SIGKILL:
            process.release(after=fault.signal)
        else:
            process.signal(fault.signal)
        effect = _effect(fault, process)
        # A process that ended before the order was not ended by the fault; nor one in the future.
        latest = clock.now() + _DRIFT_S
        effect = effect if effect is not None and ordered <= effect < latest else None
        verified = None if fault.check is None else effect is not None
        self._note(fault, process, ordered, effect, verified=verified, line=line)

    def note_held(self, process: Process, line: AtLine) -> None:
        """Note that a process stands at a line."""
        now = clock.now()
        self._note(HOLD, process, now, now, verified=line.details["late_lines"] == 0, line=line)

    def note_released(self, process: Process, ordered: float) -> None:
        """Note that a process was let go from where it stood."""
        effect = process.wait_released(VERIFY_TIMEOUT_S)
        self._note(RELEASE, process, ordered, effect, verified=effect is not None)

    def killed_itself(self, process: Process, announced: float) -> None:
        """Note that a process ended itself by SIGKILL, as it announced at this UNIX time."""
        killed = process.status == 128 + signal.SIGKILL
        effect = process.ended_at if killed else None
        self._note(DIE_AT, process, announced, effect, verified=killed)

    def started_again(self, process: Process, ordered: float) -> None:
        """Note that a process replaced one that had ended, and is ready."""
        self._note(START_AGAIN, process, ordered, clock.now(), verified=True)

    def _note(
        self,
        fault: Fault,
        process: Process,
        ordered: float,
        effect: float | None,
        *,
        verified: bool | None,
        line: AtLine | None = None,
    ) -> None:
        at, details = clock.now() if effect is None else effect, line.details if line else {}
        self.log.note(fault, *process.place, ordered=ordered, at=at, verified=verified, **details)


def _expect(fault: Fault, process: Process) -> None:
    """Note on a process what is about to happen to it."""
    match fault.check:
        case Check.ENDED:
            process.ended_by = "itself" if process.ended else "fault"
        case Check.STOPPED | Check.RUNNING:
            process.paused = fault.check is Check.STOPPED


def _effect(fault: Fault, process: Process) -> float | None:
    """Return the UNIX time when it took effect, by the launcher; None if unknown."""
    match fault.check:
        case Check.ENDED:
            return process.wait_gone(VERIFY_TIMEOUT_S)
        case Check.STOPPED | Check.RUNNING:
            return process.wait_stopped(fault.check is Check.STOPPED, VERIFY_TIMEOUT_S)
    return None
