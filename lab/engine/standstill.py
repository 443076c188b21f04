"""Why a silent program may still print: what its machine says of its processes. Pure.

See machines/agent/standstill.py, which looks at them.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Standstill(NamedTuple):
    """What a program's processes do instead of waiting for messages.

    Attributes:
        stopped: an outsider has stopped one of them.
        computes: one of them uses a processor.
        sleeps: how often each that sleeps had waited before, by its process id.
    """

    stopped: bool = False
    computes: bool = False
    sleeps: Mapping[str, str] = {}

    def is_rest(self, before: "Standstill") -> bool:
        """Return whether it is at rest or at work, if this was seen `before`.

        One that has waited since then sleeps again and again, as a program does that polls.
        """
        return self.computes or any(before.sleeps.get(p, n) == n for p, n in self.sleeps.items())


def read(said: str) -> Standstill:
    """Return what the lines of the script say; what it can't have said counts for nothing."""
    words = [words for line in said.splitlines() if len(words := line.split()) == 3]
    return Standstill(
        stopped=any(word == "stopped" for word, _, _ in words),
        computes=any(word == "computes" for word, _, _ in words),
        sleeps={pid: waits for word, pid, waits in words if word == "sleeps"},
    )
