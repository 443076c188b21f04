"""What an experiment module writes with: `@experiment` marks its scenario, `@claim` its claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.core import faults as known_faults
from lab.core.faults.fault import Fault
from lab.core.records import Reader
from lab.core.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from lab.analysis.history import Run
    from lab.engine.scenario import Lab

__all__ = ["Claim", "Experiment", "Outcome", "Verdict", "claim", "experiment"]

Scenario = Callable[["Lab"], None]
Judge = Callable[["Run"], Verdict]
# By program: what it is used for that not every implementation has.
Uses = Mapping[str, Sequence[str]]


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
    rests_on: str
    disputed_by: str
    timed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A scenario with its claims, as a module tells it; `interval`, `takes`, `grace` in seconds.

    `faults` are the names of those that each variant needs. `is_own` says that it is a user's;
    `folder` is what lies beside its module and is deployed, None of one in a single file.
    """

    name: str
    summary: str
    source: str
    scenario: Scenario
    claims: tuple[Claim, ...]
    reads: Reader | None
    count: int
    interval: float
    takes: float
    grace: float
    needs: tuple[str, ...]
    faults: Mapping[str, tuple[str, ...]]
    variants: tuple[str, ...]
    machines: Mapping[str, int]
    uses: Mapping[str, Uses] | None
    file: Path
    folder: Path | None
    is_own: bool

    def planned_s(self, count: int | None = None, interval: float | None = None) -> float:
        """Return how many seconds a run is planned to take, with the user's wishes if any."""
        messages = self.count if count is None else count
        pause = self.interval if interval is None else interval
        return messages * pause + self.takes

    def faults_of(self, variant: str) -> list[Fault]:
        """Return the faults that a variant needs; LabError where there is none of such a name.

        That is seen before a run only: one of another version of the lab can be judged.
        """
        return [known_faults.named(name) for name in self.faults.get(variant, ())]


_LONGEST_GRACE_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentMeta:
    """What `@experiment` says of a scenario."""

    source: str
    reads: Reader | None
    count: int
    interval: float
    takes: float
    grace: float
    needs: tuple[str, ...]
    faults: Mapping[str, tuple[str, ...]]
    variants: tuple[str, ...]
    machines: Mapping[str, int]
    uses: Mapping[str, Uses] | None


def experiment(
    *,
    source: str,
    reads: Reader | None = None,
    count: int = 20,
    interval: float = 1.0,
    takes: float = 0.0,
    grace: float = 2.0,
    needs: Sequence[str] = (),
    faults: Sequence[Fault | str] | Mapping[str, Sequence[Fault | str]] = (),
    variants: tuple[str, ...] = ("",),
    machines: Mapping[str, int] | None = None,
    uses: Uses | Mapping[str, Uses] | None = None,
) -> Callable[[Scenario], Scenario]:
    """Mark the scenario of a module; its name is the experiment's.

    Arguments:
        source: where the statement that is tried comes from.
        reads: tells which message a line of these programs speaks of; without it a run ends when
            it has been quiet for a while.
        count: how many messages there are, unless the user says otherwise.
        interval: seconds between two of them, likewise.
        takes: seconds that a run takes beyond count times interval, roughly: so long a silent
            program may be at work. What takes three times as long as planned, and ten seconds more,
            is given up as stuck, unless messages still come (docs/when-a-run-ends.md).
        grace: seconds that a program has to end itself after SIGTERM, before it is killed.
        needs: what must be on each machine: a command, as `awk`, or a module of the machine's lab
            Python, as `python:numpy`.
        faults: those of machines and of the network that it does, or those of each variant, by
            their names; where they can't be done, it isn't begun.
        variants: names of ways to play it, each a run of its own with `lab.variant`.
        machines: how many machines of a role it needs at least, as `{"worker": 2}`.
        uses: which of the protocol's programs it starts, each with what not every implementation of
            it has: flags, socket options, events, as `{"source": ["--delay", "SNDHWM"]}`
            (docs/program-protocol.md); or those of each variant. An implementation that lacks one
            is refused before the run.
    """

    if not 0 <= grace <= _LONGEST_GRACE_S:
        raise ValueError(f"grace={grace!r} is no number of seconds up to {_LONGEST_GRACE_S}")

    def mark(scenario: Scenario) -> Scenario:
        told = ExperimentMeta(
            source=source,
            reads=reads,
            count=count,
            interval=interval,
            takes=takes,
            grace=grace,
            needs=tuple(needs),
            faults={
                variant: _names(faults[variant] if isinstance(faults, Mapping) else faults)
                for variant in (faults if isinstance(faults, Mapping) else variants)
            },
            variants=variants,
            machines=machines or {},
            uses=None if uses is None else _of_each_variant(uses, variants),
        )
        scenario.__experiment__ = told  # type: ignore[attr-defined]
        return scenario

    return mark


def _names(faults: Sequence[Fault | str]) -> tuple[str, ...]:
    """Return the names of faults; a name alone is one fault, no sequence of letters."""
    return (faults,) if isinstance(faults, str) else tuple(map(str, faults))


def _of_each_variant(
    uses: Uses | Mapping[str, Uses], variants: Sequence[str]
) -> Mapping[str, Uses]:
    by_variant = all(isinstance(each, Mapping) for each in uses.values())
    return uses if by_variant else dict.fromkeys(variants, uses)  # type: ignore[arg-type, return-value]  # told apart by the values


def claim(
    statement: str,
    *,
    source: str = "",
    expected: Outcome = Outcome.HOLDS,
    because: str = "",
    by_chance: bool = False,
    rests_on: str = "",
    disputed_by: str = "",
    timed: bool = False,
) -> Callable[[Judge], Judge]:
    """Mark a function over a run as the judge of a statement; its name is the claim's.

    Arguments:
        statement: what is claimed, in one sentence.
        source: where, if it isn't the place that the experiment names.
        expected: the outcome to expect, where that isn't `holds`; then `because` says why.
        by_chance: whether it depends on chance that the run shows anything at all; if it doesn't,
            that isn't counted against it.
        rests_on: the line of a library's source, or the page of its manual, that says why.
        disputed_by: who says otherwise, and where.
        timed: whether it speaks of how long something took, or of what was done in the meantime: it
            isn't observed in a run that was disturbed, see `disturbance`.
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
            rests_on=rests_on,
            disputed_by=disputed_by,
            timed=timed,
        )
        return judge

    return mark
