"""Why a silent program may still print: what its machine says of its processes. Pure.

See machines/agent/standstill.py, which looks at them.
"""

from collections.abc import Mapping
from typing import NamedTuple

_LONGEST_NUMBER = 18  # digits; a machine may say anything


class Standstill(NamedTuple):
    """What a program's processes do instead of waiting for messages.

    Attributes:
        stopped: an outsider has stopped one of them.
        computes: one of them uses a processor.
        sleeps: how often each thread that sleeps had waited before, by its name.
    """

    stopped: bool = False
    computes: bool = False
    sleeps: Mapping[str, int] = {}

    def is_rest(self, before: "Standstill") -> bool:
        """Return whether it is at rest or at work, if this was seen `before`.

        One that has waited more than once since then sleeps again and again, as one that polls.
        """
        return self.computes or any(
            waits - before.sleeps.get(thread, waits) <= 1 for thread, waits in self.sleeps.items()
        )


def read(said: str) -> Standstill:
    """Return what the lines of the script say; what it can't have said counts for nothing."""
    lines = (line.split() for line in said.splitlines())
    words = [line for line in lines if len(line) == 3 and _is_number(line[2])]
    return Standstill(
        stopped=any(word == "stopped" for word, _, _ in words),
        computes=any(word == "computes" for word, _, _ in words),
        sleeps={who: int(n) for word, who, n in words if word == "sleeps"},
    )


def _is_number(word: str) -> bool:
    return word.isdecimal() and len(word) <= _LONGEST_NUMBER
