"""What an experiment module writes with: `@experiment` marks its scenario, `@claim` its claims."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.records import Message, Record
from lab.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from lab.claims import Run
    from lab.scenario import Lab

__all__ = ["Claim", "Experiment", "Outcome", "Verdict", "claim", "experiment"]

Scenario = Callable[["Lab"], None]
Judge = Callable[["Run"], Verdict]
Reader = Callable[[Record], Message | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of the source, and the pure function that judges it in a run."""

    id: str
    statement: str
    source: str
    judge: Judge
    expected: Outcome
    because: str
    by_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A scenario with its claims, as a module tells it; `interval` in seconds."""

    name: str
    summary: str
    source: str
    scenario: Scenario
    claims: tuple[Claim, ...]
    reads: Reader | None
    count: int
    interval: float
    faults: Mapping[str, tuple[str, ...]]
    variants: tuple[str, ...]
    file: Path
    folder: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What `@experiment` says of a scenario."""

    source: str
    reads: Reader | None
    count: int
    interval: float
    faults: Mapping[str, tuple[str, ...]]
    variants: tuple[str, ...]


def experiment(
    *,
    source: str,
    reads: Reader | None = None,
    count: int = 20,
    interval: float = 1.0,
    faults: tuple[str, ...] | Mapping[str, tuple[str, ...]] = (),
    variants: tuple[str, ...] = ("",),
) -> Callable[[Scenario], Scenario]:
    """Mark the scenario of a module; its name is the experiment's.

    Arguments:
        source: where the statement that is tried comes from.
        reads: tells which message a line of these programs speaks of; without it a run ends when
            it has been quiet for a while.
        count: how many messages there are, unless the user says otherwise.
        interval: seconds between two of them, likewise.
        faults: those of machines and of the network that it does, or those of each variant; where
            they can't be done, it isn't begun.
        variants: names of ways to play it, each a run of its own with `lab.variant`.
    """

    def mark(scenario: Scenario) -> Scenario:
        told = Told(
            source=source,
            reads=reads,
            count=count,
            interval=interval,
            faults=faults if isinstance(faults, Mapping) else dict.fromkeys(variants, faults),
            variants=variants,
        )
        scenario.__experiment__ = told  # type: ignore[attr-defined]
        return scenario

    return mark


def claim(
    statement: str,
    *,
    source: str = "",
    expected: Outcome = Outcome.HOLDS,
    because: str = "",
    by_chance: bool = False,
) -> Callable[[Judge], Judge]:
    """Mark a function over a run as the judge of a statement; its name is the claim's.

    Arguments:
        statement: what is claimed, in one sentence.
        source: where, if it isn't the place that the experiment names.
        expected: the outcome to expect, where that isn't `holds`; then `because` says why.
        by_chance: whether it depends on chance that the run shows anything at all; if it doesn't,
            that isn't counted against it.
    """

    def mark(judge: Judge) -> Judge:
        judge.__claim__ = Claim(  # type: ignore[attr-defined]
            id=judge.__name__,
            statement=statement,
            source=source,
            judge=judge,
            expected=expected,
            because=because,
            by_chance=by_chance,
        )
        return judge

    return mark


def is_name(text: str) -> bool:
    """Tell whether `text` may be an experiment's name."""
    return re.fullmatch(r"[a-z0-9_]{1,40}", text) is not None
