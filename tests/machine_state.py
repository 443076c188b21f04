"""What faults can change on a machine, as its own tools list it: compared before and after."""

import re
import select
import time
from collections.abc import Callable, Sequence

Ask = Callable[[Sequence[str]], str]

_STOPPED = r"cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') T '"
_LOOKS = {
    "rules": ["nft", "list", "ruleset"],
    "queues": ["tc", "qdisc", "show"],
    "addresses": ["ip", "-br", "addr"],
    "routes": ["ip", "route"],
    "stopped": ["sh", "-c", _STOPPED],
}


def state(ask: Ask) -> dict[str, str]:
    """Return network rules, queueing disciplines, links, addresses, routes, stopped processes.

    `ask` runs a command on the machine, and returns what it prints. The number of a link's other
    end is left out: it is another after each start of the machine.
    """
    # A missing tool would see no change.
    assert ask(["nft", "--version"])
    assert ask(["tc", "-Version"])
    return {name: re.sub(r"@if\d+", "", ask(argv)) for name, argv in _LOOKS.items()}


def is_within(limit_s: float, expected: object, look: Callable[[], object]) -> bool:
    """Look until it is as expected, at most so many seconds: others' clean-up sends no event."""
    end = time.monotonic() + limit_s
    while look() != expected:
        if time.monotonic() > end:
            return False
        select.select([], [], [], 0.05)
    return True
