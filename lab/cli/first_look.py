"""Finds out what a command line certainly requests, before its parser is imported.

That import takes as long as starting the machines, which can thus begin at once.
"""

from collections.abc import Sequence

RUN = "run-experiment"
PROVIDER = ("--provider", "-p")
REPEATED = ("--repeat", "-t", "--until", "-u")  # such runs are made by other processes
VALUED = (
    *("--experiment", "-e", "--inventory", "-i", "--count", "-c", "--interval", "-n"),
    *("--set", "-s", "--runs", "-r", "--implementation", "-m"),
    *REPEATED,
    *PROVIDER,
)
_MANY = ("--set", "-s")  # may be given more than once
SWITCHES = ("--keep", "-k", "--capture", "-a", "--stop-on-refuted", "-o")


def provider_of_run(arguments: Sequence[str]) -> str | None:
    """Return the provider on which a command line runs experiments, None if that is unclear.

    The task's flags are clear, as separate words or joined to a value by `=`. The parser handles
    everything else, such as `-kp ssh`, `--help`, a second task, a value that looks like a flag, or
    a flag that is repeated, whose value may be a task's name for the parser.
    """
    if not arguments or arguments[0] != RUN:
        return None
    provider = "auto"
    seen: set[str] = set()
    words = iter(arguments[1:])
    for word in words:
        if word in SWITCHES:
            continue
        flag, joined, value = word.partition("=")
        given = value if joined else next(words, "-")
        if flag not in VALUED or given.startswith("-") or flag in REPEATED:
            return None
        if flag in seen - set(_MANY):
            return None
        seen.add(flag)
        if flag in PROVIDER:
            provider = given
    return provider
