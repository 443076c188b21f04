"""Claims x implementations: what each claim came to in the runs of each implementation. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushpull.analysis.campaign import Cell
from pushpull.analysis.outcome_table import MessageCounts
from pushpull.analysis.proportion import Proportion
from pushpull.core.verdict import Outcome

SOME = "in some runs"  # it held in some of the runs in which it was observed
NEVER_RUN = "never run"


@dataclass(frozen=True, slots=True)
class MatrixCell(Cell):
    """The runs of one experiment with one implementation; `code` identifies the files of both."""

    implementation: str = ""
    code: str = ""

    def __str__(self) -> str:
        title = ":".join(filter(None, [self.experiment, self.variant]))
        return f"{title} {self.implementation} {self.code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A claim, and what is expected of it with one implementation."""

    statement: str
    source: str
    expected: str
    because: str
    rests_on: str
    by_chance: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a claim came to with one implementation.

    Attributes:
        asked: the claim.
        verdict: an Outcome, SOME or NEVER_RUN.
        proportion: in how many runs it held, of those in which it was observed.
        not_observed: in how many runs nothing could be said.
        why: the sentence of the run that decides, or why the claim is not applicable.
        run: the name of that run; empty if there is none.
    """

    asked: Asked
    verdict: str
    proportion: Proportion
    not_observed: int
    why: str
    run: str

    @property
    def decided(self) -> bool:
        return self.proportion.runs > 0

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.asked.expected

    @property
    def sign(self) -> str:
        """The verdict in one character."""
        return _SIGNS[self.verdict]

    @property
    def count(self) -> str:
        """In how many runs it held, and the interval: `5 of 5, 57 to 100 %`."""
        if not self.decided:
            return ""
        low, high = self.proportion.wilson()
        held, runs = self.proportion.held, self.proportion.runs
        return f"{held} of {runs}, {low * 100:.0f} to {high * 100:.0f} %"


_SIGNS = {
    Outcome.HOLDS: "✓",
    Outcome.REFUTED: "✗",
    SOME: "±",
    Outcome.NOT_OBSERVED: "?",
    Outcome.NOT_APPLICABLE: "-",
    NEVER_RUN: " ",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A claim with its answers, by implementation; `title` is its experiment's, with variant."""

    title: str
    claim: str
    answers: Mapping[str, Answer]

    @property
    def statement(self) -> str:
        return next(iter(self.answers.values())).asked.statement

    @property
    def usual(self) -> str:
        """The verdict of most implementations; where two are as frequent, of the first column."""
        found = [a.verdict for a in self.answers.values() if a.decided]
        return Counter(found).most_common(1)[0][0] if found else ""

    @property
    def odd(self) -> tuple[str, ...]:
        """The implementations with another verdict than most."""
        usual = self.usual
        return tuple(n for n, a in self.answers.items() if a.decided and a.verdict != usual)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What became of the messages after one way of leaving, by implementation: run by run."""

    title: str
    counts: Mapping[str, Sequence[MessageCounts]]
    runs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it. `left_out` says of implementations why they are no column."""

    columns: tuple[str, ...]
    summaries: Mapping[str, str]
    rows: tuple[Row, ...]
    ways: tuple[Way, ...]
    left_out: Mapping[str, str]
    repeat: int

    @property
    def differing(self) -> list[Row]:
        return [row for row in self.rows if row.odd]

    @property
    def unexpected(self) -> int:
        """How many answers are decided otherwise than is expected of their implementation."""
        answers = (a for row in self.rows for a in row.answers.values())
        return sum(a.decided and not a.as_expected for a in answers)


def answer(asked: Asked, verdicts: Sequence[tuple[str, Mapping[str, Any]]]) -> Answer:
    """Return what a claim came to in runs, each given by its name with its verdict on the claim."""
    if asked.expected == Outcome.NOT_APPLICABLE:
        return not_applicable(asked, asked.because)
    by: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for run, found in verdicts:
        by.setdefault(found["verdict"], []).append((run, found))
    held, refuted = len(by.get(Outcome.HOLDS, ())), len(by.get(Outcome.REFUTED, ()))
    only = next((str(one) for one in Outcome if one in by), NEVER_RUN)
    verdict = SOME if held and refuted else only
    # An exception says more than the rule.
    deciding = by.get(Outcome.REFUTED if refuted else verdict, ())
    run, decisive = deciding[-1] if deciding else ("", {"why": ""})
    return Answer(
        asked=asked,
        verdict=verdict,
        proportion=Proportion(held, held + refuted),
        not_observed=len(by.get(Outcome.NOT_OBSERVED, ())),
        why=str(decisive["why"]),
        run=run,
    )


def not_applicable(asked: Asked, why: str) -> Answer:
    """Return the answer where a claim makes no sense for an implementation, or can't be tried."""
    return Answer(
        asked=asked,
        verdict=str(Outcome.NOT_APPLICABLE),
        proportion=Proportion(0, 0),
        not_observed=0,
        why=why,
        run="",
    )
