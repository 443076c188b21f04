"""The figures of runs, and how each is distributed over many of them."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pushpull.analysis.outcome_table import MessageCounts
from pushpull.core.text import measured


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: its name in MessageCounts or in its quantities, its label, and its unit if any."""

    name: str
    label: str
    unit: str = ""

    def of(self, outcome: MessageCounts) -> float | None:
        """Return its value in one run, if that has it."""
        value: float | None = getattr(outcome, self.name, outcome.quantities.get(self.name))
        return value

    def in_words(self, value: float) -> str:
        """Return a value with its unit: a whole number, or seconds to the millisecond."""
        return f"{value:.3f} {self.unit}" if self.unit else measured(value)


FIGURES = (
    Figure("never", "lost"),
    Figure("not_handed_on", "not handed on"),
    Figure("late", "late"),
    Figure("twice", "twice"),
    Figure("first_row", "first in a row"),
    Figure("noticed_s", "noticed after", "s"),
    Figure("recovery_s", "recovered after", "s"),
    Figure("backlog_s", "backlog gone after", "s"),
    Figure("lateness_s", "latest, by when it was to be sent", "s"),
)


def figures(outcomes: Sequence[MessageCounts]) -> Sequence[Figure]:
    """Return all figures that these runs may have, those of their own quantities last."""
    own = dict.fromkeys(name for outcome in outcomes for name in outcome.quantities)
    return (*FIGURES, *(Figure(name, name) for name in own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a figure is distributed over the `count` runs, of `runs`, that have it."""

    figure: Figure
    runs: int
    count: int
    least: float
    median: float
    most: float

    def __str__(self) -> str:
        words = self.figure.in_words
        text = words(self.median)
        if self.least != self.most:
            text += f" ({words(self.least)} to {words(self.most)})"
        return text if self.count == self.runs else f"{text} in {self.count} of {self.runs} runs"


def spreads(outcomes: Iterable[MessageCounts]) -> Sequence[Spread]:
    """Return the distribution of each figure that at least one of the runs has."""
    found = list(outcomes)
    columns = {figure: [figure.of(outcome) for outcome in found] for figure in figures(found)}
    known = {figure: [v for v in values if v is not None] for figure, values in columns.items()}
    return [
        Spread(
            figure=figure,
            runs=len(found),
            count=len(values),
            least=min(values),
            median=statistics.median(values),
            most=max(values),
        )
        for figure, values in known.items()
        if values
    ]
