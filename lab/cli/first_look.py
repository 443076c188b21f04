"""What a command line is sure to ask for, before the program that parses it is imported.

That takes as long as starting the machines, which can so begin at once.
"""

from collections.abc import Sequence

RUN = "run-experiment"
PROVIDER = ("--provider", "-p")
VALUED = (
    *("--experiment", "-e", "--inventory", "-i", "--count", "-c", "--interval", "-n"),
    *("--set", "-s", "--repeat", "-r", "--until", "-u", "--runs"),
    *PROVIDER,
)
SWITCHES = ("--keep", "-k", "--capture", "-a")


def provider_of_run(arguments: Sequence[str]) -> str | None:
    """Return the provider that a command line runs experiments on, None where it isn't clear.

    Clear are the flags of the task, each a word of its own or joined to its value by `=`. All else,
    such as `-kp ssh`, `--help`, a second task or a value that looks like a flag, is left to the
    parser.
    """
    if not arguments or arguments[0] != RUN:
        return None
    provider = "auto"
    words = iter(arguments[1:])
    for word in words:
        if word in SWITCHES:
            continue
        flag, joined, value = word.partition("=")
        given = value if joined else next(words, "-")
        if flag not in VALUED or given.startswith("-"):
            return None
        if flag in PROVIDER:
            provider = given
    return provider
