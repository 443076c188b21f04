"""Finds out what a command line certainly requests, before its parser is imported.

That import takes as long as starting the machines, which can thus begin at once.
"""

from collections.abc import Sequence

RUN = "run-experiment"
PROVIDER = ("--provider", "-p")
INVENTORY = ("--inventory", "-i")
REPEATED = ("--repeat", "-t", "--until", "-u")  # such runs are made by other processes
VALUED = (
    *("--experiment", "-e", "--count", "-c", "--interval", "-n"),
    *("--set", "-s", "--runs", "-r", "--implementation", "-m", "--junit", "-j"),
    *REPEATED,
    *PROVIDER,
    *INVENTORY,
)
_MANY = ("--set", "-s")  # may be given more than once
SWITCHES = ("--keep", "-k", "--capture", "-a", "--stop-on-refuted", "-o")


def provider_and_inventory(arguments: Sequence[str]) -> tuple[str, str] | None:
    """Return what a command line says of the run that it asks for, None if that is unclear.

    That is the provider, and the inventory, which is empty if it names none.

    The task's flags are clear, as separate words or joined to a value by `=`. The parser handles
    everything else, such as `-kp ssh`, `--help`, a second task, a value that looks like a flag, or
    a flag that is repeated, whose value may be a task's name for the parser.
    """
    if not arguments or arguments[0] != RUN:
        return None
    seen: dict[str, str] = {}
    words = iter(arguments[1:])
    for word in words:
        if word in SWITCHES:
            continue
        flag, joined, value = word.partition("=")
        given = value if joined else next(words, "-")
        if flag not in VALUED or given.startswith("-") or flag in REPEATED:
            return None
        if flag in seen and flag not in _MANY:
            return None
        seen[flag] = given
    return _last(seen, PROVIDER, "auto"), _last(seen, INVENTORY, "")


def _last(seen: dict[str, str], flags: Sequence[str], default: str) -> str:
    return next((seen[flag] for flag in reversed(seen) if flag in flags), default)
