"""What a search covered, on a screen."""

from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from pushpull.cli.search_space import PHASES, Space, key
from pushpull.cli.search_tried import REFUTED, Confirmation, Cover, Trial, coverage
from pushpull.core.text import harmless

_LONGEST = 300


def shown(text: str) -> str:
    """Return a sentence with control characters escaped."""
    return harmless(text, _LONGEST)


def print_coverage(
    space: Space, trials: Sequence[Trial], confirmation: Confirmation, *, file: TextIO
) -> None:
    """Print which faults were done to which program in which part of its output, and how often."""
    every = coverage(space, trials)
    rows = [row for row in every if any(row.drawn.values())]
    heads = ["fault", "at a line of", *PHASES]
    table = [heads, *([row.fault, row.victim, *map(str, _cells(row))] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    print(f"\nplayed: {_outcomes(trials)}", file=file)
    for line in table:
        cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
        print(shown(f"  {'  '.join(cells)}".rstrip()), file=file)
    print("  -: never drawn; 0/2: drawn twice, but its program never printed that line", file=file)
    for fault, victims in never_drawn(every).items():
        print(shown(f"never drawn: {fault} at a line of {', '.join(victims)}"), file=file)
    print(file=file)
    for sentence in flaky(trials, confirmation):
        print(f"flaky: {shown(sentence)}", file=file)


def _cells(row: Cover) -> list[str]:
    return [_cell(row.drawn[phase], row.done[phase]) for phase in PHASES]


def _cell(drawn: int, done: int) -> str:
    if not drawn:
        return "-"
    return str(done) if done == drawn else f"{done}/{drawn}"


def _outcomes(trials: Sequence[Trial]) -> str:
    counts = Counter(trial.outcome for trial in trials)
    each = ", ".join(f"{outcome} in {count}" for outcome, count in counts.most_common())
    schedules = len({key(trial.schedule) for trial in trials if trial.schedule})
    return f"{len(trials)} runs of {schedules} schedules: {each}"


def never_drawn(every: Sequence[Cover]) -> dict[str, list[str]]:
    """Return by fault the victims for which it was never drawn."""
    found: dict[str, list[str]] = {}
    for row in every:
        if not any(row.drawn.values()):
            found.setdefault(row.fault, []).append(row.victim)
    return found


def flaky(trials: Sequence[Trial], confirmation: Confirmation) -> list[str]:
    """Return a sentence for each schedule that refuted the claim, but too rarely to count."""
    played: dict[str, list[Trial]] = {}
    for trial in trials:
        played.setdefault(key(trial.schedule), []).append(trial)
    found = []
    for these in played.values():
        counts = Counter(trial.outcome for trial in these)
        if counts[REFUTED] and confirmation.decided(counts) is False:
            faults = " + ".join(map(str, these[0].schedule))
            found.append(f"refuted in {counts[REFUTED]} of {len(these)} runs only: {faults}")
    return found
