"""What is done to processes and machines on purpose; each fault is verified."""

import signal
import time
from dataclasses import dataclass
from typing import Protocol

VERIFY_TIMEOUT_S = 10


class Target(Protocol):
    """A process as a fault sees it."""

    def signal(self, number: int) -> None:
        """Send a signal to all of its processes."""

    def wait_gone(self, timeout: float) -> float | None:
        """Return the UNIX time at which the last of its processes was gone; None if one is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A fault that was done: when it was ordered, and when it was in effect, in UNIX seconds.

    `effect` is None where it couldn't be verified: too late, as the target had ended already, or
    without success.
    """

    ordered: float
    effect: float | None


def kill(target: Target) -> Done:
    """End all of a process's processes by SIGKILL, and wait until its machine says they're gone."""
    ordered = time.time()
    target.signal(signal.SIGKILL)
    effect = target.wait_gone(VERIFY_TIMEOUT_S)
    return Done(ordered=ordered, effect=effect if effect and effect >= ordered else None)
