"""How often each claim held in many runs, on a screen."""

from collections.abc import Mapping
from typing import TextIO

from rich.text import Text

from lab.analysis.tally import Tally
from lab.core.text import harmless
from lab.report.console import ALARM, console_on, print_hanging

_LONGEST = 2000  # characters
_DECIDED = {
    True: ("✓", "+", "green"),
    False: ("✗", "x", ALARM),
    None: ("?", "?", "yellow"),
}


def print_tallies(tallies: Mapping[str, Tally], *, anytime: bool, file: TextIO) -> None:
    """Print each claim with its proportion, the 95 % interval and what that decides.

    `anytime` says that the runs were ended by a look at them: then the interval is the one that
    holds at every number of runs.
    """
    console = console_on(file)
    for tally in tallies.values():
        if tally.why_not_applicable:
            print_hanging(console, Text("- ", "dim"), Text(harmless(tally.statement, _LONGEST)))
            why = f"not applicable: {harmless(tally.why_not_applicable, _LONGEST)}"
            print_hanging(console, Text("  "), Text(why, "dim"))
            continue
        mark, plain, style = _DECIDED[tally.met(anytime=anytime)]
        head = Text(f"{plain if console.options.ascii_only else mark} ", style)
        print_hanging(console, head, Text(harmless(tally.statement, _LONGEST)))
        print_hanging(console, Text("  "), Text(_held(tally, anytime=anytime), "dim"))
    kind = "at any number of runs" if anytime else "for this number of runs"
    console.print(f"\n95 % intervals, valid {kind}; docs/repeats.md explains both")


def _held(tally: Tally, *, anytime: bool) -> str:
    found = tally.proportion
    low, high = found.anytime() if anytime else found.wilson()
    if tally.never_exercised:
        return f"never exercised: not observed in any of {tally.not_observed} runs"
    met = tally.met(anytime=anytime)
    text = f"held in {found.held} of {found.runs} runs ({low:.1%} to {high:.1%})"
    if tally.not_observed:
        text += f", not observed in {tally.not_observed}"
    decided = {True: "yes", False: "no", None: "not enough runs to tell"}[met]
    return f"{text}; {tally.need}: {decided}"
