"""The quantities of a run in a few numbers each: for pages, tables and comparisons."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pushpull.analysis.measures import percentile
from pushpull.analysis.values import Values
from pushpull.core.text import harmless, measured
from pushpull.core.wording import counted

MOST = 24  # quantities of a run that are shown: a machine may invent any number of names
_UNITS = frozenset({"s", "ms", "us", "ns", "bytes", "kib", "mib", "gib", "percent", "hz"})
_LONGEST_NAME = 60  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity in a few numbers; those of none are None.

    Attributes:
        name: as the program calls it, made harmless.
        count: how many values are numbers.
        odd: how many are not (NaN).
        least, median, p90, p99, most: percentiles by the nearest rank, see `percentile`.
    """

    name: str
    count: int
    odd: int
    least: float | None
    median: float | None
    p90: float | None
    p99: float | None
    most: float | None

    @property
    def unit(self) -> str:
        """The unit, which is the last part of the name: `ms` of `latency_ms`; empty for none."""
        head, _, last = self.name.rpartition("_")
        return last if head and last.lower() in _UNITS else ""

    @property
    def label(self) -> str:
        """The name without the unit, as words."""
        name = self.name.removesuffix(f"_{self.unit}") if self.unit else self.name
        return name.replace("_", " ")

    def __str__(self) -> str:
        """Return them all: `median 1.2 ms, p90 3 ms, p99 5.1 ms, 0.4 ms to 6 ms, 200 values`."""
        text = counted(self.count, "value")
        if self.count:
            named = (("median", self.median), ("p90", self.p90), ("p99", self.p99))
            parts = [f"{name} {self.in_words(value)}" for name, value in named]
            parts += [f"{self.in_words(self.least)} to {self.in_words(self.most)}"]
            text = f"{', '.join(parts)}, {text}"
        return f"{text}, {self.odd:,} not a number" if self.odd else text

    def in_words(self, value: float | None) -> str:
        """Return a value with its unit, see `measured`."""
        if value is None:
            return "-"
        return f"{measured(value)} {self.unit}" if self.unit else measured(value)


def quantities(values: Mapping[str, Values]) -> dict[str, Quantity]:
    """Return the quantities of a run by their names: those that have the most values first."""
    largest = sorted(values.values(), key=lambda found: -len(found))[:MOST]
    return {found.name: quantity(found) for found in largest}


def quantity(values: Values) -> Quantity:
    """Return the values of one quantity in a few numbers."""
    known = np.sort(values.numbers[~np.isnan(values.numbers)])
    least, median, p90, p99, most = (percentile(known, p) for p in (0, 50, 90, 99, 100))
    return Quantity(
        name=harmless(values.name, _LONGEST_NAME),
        count=len(known),
        odd=len(values) - len(known),
        least=least,
        median=median,
        p90=p90,
        p99=p99,
        most=most,
    )


def in_short(found: Mapping[str, Quantity]) -> dict[str, str]:
    """Return each quantity that has numbers in a few words: `median 1.2 ms, p99 5.1 ms`."""
    return {
        one.name: f"median {one.in_words(one.median)}, p99 {one.in_words(one.p99)}"
        for one in found.values()
        if one.count
    }


def figures(found: Mapping[str, Quantity]) -> dict[str, float]:
    """Return the median and the 99th percentile of each quantity, by what they are called."""
    named = (
        (f"{one.name} {what}", value)
        for one in found.values()
        for what, value in (("median", one.median), ("p99", one.p99))
    )
    return {name: value for name, value in named if value is not None}
