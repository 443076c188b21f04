"""How often each claim held in many runs, on a screen."""

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.text import Text

from pushpull.analysis.campaign import Cell
from pushpull.analysis.figures import Spread
from pushpull.analysis.tally import Tally
from pushpull.core.text import harmless
from pushpull.core.verdict import Need
from pushpull.core.wording import counted
from pushpull.report.console import ALARM, console_on, print_hanging

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


def print_spreads(title: str, found: Sequence[Spread], *, file: TextIO) -> None:
    """Print how each figure is distributed over the runs."""
    console = console_on(file)
    if not found:
        return
    console.print(Text(f"\n{harmless(title, _LONGEST)}" if title else "", "bold"))
    width = max(len(spread.figure.label) for spread in found)
    for spread in found:
        console.print(Text(f"  {spread.figure.label:<{width}}  {spread}"), soft_wrap=True)
    console.print()


def print_exceptions(tallies: Mapping[Cell, Mapping[str, Tally]], *, file: TextIO) -> None:
    """Print what was exceptional in a sweep: claims that were refuted, or never exercised."""
    console = console_on(file)
    for cell, claims in tallies.items():
        for name, tally in claims.items():
            unexpected = tally.proportion.held
            if tally.need is not Need.NEVER:
                unexpected = tally.proportion.runs - tally.proportion.held
            if unexpected or (tally.never_exercised and not tally.why_not_applicable):
                text = f"{cell}: {name} {_held(tally, anytime=False)}"
                print_hanging(console, Text(), Text(harmless(text, _LONGEST)))


def _held(tally: Tally, *, anytime: bool) -> str:
    found = tally.proportion
    low, high = tally.interval(anytime=anytime)
    if tally.never_exercised:
        return f"never exercised: not observed in any of {counted(tally.not_observed, 'run')}"
    text = f"held in {found.held} of {counted(found.runs, 'run')} ({low:.1%} to {high:.1%})"
    if tally.not_observed:
        text += f", not observed in {tally.not_observed}"
    return f"{text}; {tally.need}: {tally.decided(anytime=anytime)}"
