"""The decorators of an experiment module: `@experiment` for its scenario, `@claim` for claims."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pushpull.core import faults as known_faults
from pushpull.core.faults.fault import Fault
from pushpull.core.parameters import Value, require_sound
from pushpull.core.records import Reader
from pushpull.core.verdict import Need, Outcome, Verdict
from pushpull.engine import versions as own_versions

if TYPE_CHECKING:
    from pushpull.analysis.history import Run

__all__ = ["Claim", "Experiment", "Need", "Outcome", "Verdict", "claim", "experiment"]

# Its argument is a Lab, whose module imports this one.
Scenario = Callable[[Any], None]
_S = TypeVar("_S", bound=Scenario)
Judge = Callable[["Run"], Verdict]
# By program: what it is used for that not every implementation has.
Uses = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement, and the pure function that judges it in a run."""

    id: str
    statement: str
    source: str
    judge: Judge
    expected: Outcome
    because: str
    need: Need
    by_chance: bool
    rests_on: str
    disputed_by: str
    timed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentMeta:
    """The arguments of `@experiment`."""

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
    parameters: Mapping[str, Value]
    versions: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment(ExperimentMeta):
    """A scenario with its claims, as a module defines it; `interval`, `takes`, `grace` in seconds.

    `faults` are the names of those that each variant needs. `is_own` says that it is a user's;
    `folder` is what lies beside its module and is deployed, None of one in a single file.
    """

    name: str
    summary: str
    scenario: Scenario
    claims: tuple[Claim, ...]
    file: Path
    folder: Path | None
    is_own: bool

    def planned_s(self, count: int | None = None, interval: float | None = None) -> float:
        """Return the planned length of a run in seconds, with the user's values if given."""
        messages = self.count if count is None else count
        pause = self.interval if interval is None else interval
        return messages * pause + self.takes

    def faults_of(self, variant: str) -> list[Fault]:
        """Return the faults that a variant needs; LabError where there is none of such a name.

        That is seen before a run only: one of another version of the lab can be judged.
        """
        return [known_faults.named(name) for name in self.faults.get(variant, ())]


_LONGEST_GRACE_S = 3600


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
    parameters: Mapping[str, Value] | None = None,
    versions: Mapping[str, Sequence[str]] | None = None,
) -> Callable[[_S], _S]:
    """Mark the scenario of a module; the function's name is the experiment's.

    Arguments:
        source: where the tested statement comes from.
        reads: returns the message that a line of these programs is about; without it, a run ends
            after a while of silence.
        count: the number of messages, unless the user gives one.
        interval: the seconds between two messages, unless the user gives them.
        takes: roughly the seconds that a run takes beyond count times interval; a silent program
            may work for so long. The lab gives up a run after three times its planned length and
            ten seconds, unless messages still arrive (docs/when-a-run-ends.md).
        grace: seconds that a program has to end itself after SIGTERM, before it is killed.
        needs: what each machine must have: commands such as `awk`, or modules of the machine's lab
            Python, such as `python:numpy`.
        faults: those of machines and of the network that it does, or those of each variant, by
            their names; where they can't be done, it isn't begun.
        variants: names of ways to play it, each a run of its own with `lab.variant`.
        machines: the least number of machines for a role, such as `{"worker": 2}`.
        uses: which of the protocol's programs it starts, each with what not every implementation of
            it has: flags, socket options, events, as `{"source": ["--delay", "SNDHWM"]}`
            (docs/program-protocol.md); or those of each variant. An implementation that lacks one
            is refused before the run.
        parameters: what a user can set or vary by `--set NAME=VALUE` and `--vary NAME=VALUE,VALUE`,
            with the values that they have otherwise: numbers, texts, True or False. The scenario
            finds them in `lab.parameters`.
        versions: for each program of your own, the command that prints its version, such as
            `{"redis": ["redis-server", "--version"]}`. Each machine that has it is asked before a
            run; run.json and the page have the first line that it prints.
    """

    if not 0 <= grace <= _LONGEST_GRACE_S:
        raise ValueError(f"grace={grace!r} is not a number of seconds up to {_LONGEST_GRACE_S}")

    require_sound(parameters or {})
    own_versions.require_sound(versions or {})

    def mark(scenario: _S) -> _S:
        meta = ExperimentMeta(
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
            parameters=parameters or {},
            versions=versions or {},
        )
        scenario.__experiment__ = meta  # type: ignore[attr-defined]
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
    need: Need | None = None,
) -> Callable[[Judge], Judge]:
    """Mark a function of a run as the judge of a statement; the function's name is the claim's.

    Arguments:
        statement: the claim, in one sentence.
        source: its source, if that differs from the experiment's.
        expected: the expected outcome, if that isn't `holds`; then `because` says why.
        by_chance: whether chance decides if a run shows anything; then `not observed` doesn't
            count against it.
        rests_on: the line of a library's source, or the page of its manual, that explains it.
        disputed_by: who says otherwise, and where.
        timed: whether it is about how long something took, or what happened meanwhile; then it is
            not observed in a disturbed run, see `disturbance`.
        need: in how many of many runs it must hold (`fab run-experiment --repeat`); always, or
            never if it is expected to be refuted. One run is judged without regard to it.

    Raises ValueError if `need` contradicts `expected`.
    """
    needed = Need.usual(expected) if need is None else Need(need)
    if (needed is Need.NEVER) != (expected == Outcome.REFUTED):
        raise ValueError(f"need={needed.name} contradicts expected={expected}")

    def mark(judge: Judge) -> Judge:
        judge.__claim__ = Claim(  # type: ignore[attr-defined]
            id=judge.__name__,
            statement=statement,
            source=source,
            judge=judge,
            expected=expected,
            because=because,
            need=needed,
            by_chance=by_chance,
            rests_on=rests_on,
            disputed_by=disputed_by,
            timed=timed,
        )
        return judge

    return mark
