"""Whether runs reproduce what was published: an author's table, row by row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pushpull.analysis.campaign import Cell
from pushpull.analysis.proportion import Proportion
from pushpull.core.verdict import Need, Outcome


class Result(StrEnum):
    """What the runs say of a row."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "can't tell"


@dataclass(frozen=True, slots=True)
class Published:
    """What was published of a claim: in how many runs it holds.

    Attributes:
        text: as the author wrote it.
        need: `always`, in `most` runs, or `never`; None for a proportion.
        proportion: from 0 to 1; None for a need.
        within: how far the true proportion may be from the published one.
    """

    text: str
    need: Need | None
    proportion: float | None
    within: float

    def agrees(self, found: Proportion) -> Result:
        """Return whether runs reproduce this; the answer is valid at any number of runs.

        A proportion is reproduced when the whole interval of the runs is within reach of it, and
        not reproduced when the whole interval is out of its reach.
        """
        if self.need is not None:
            met = found.meets(self.need, anytime=True)
            decided = {True: Result.REPRODUCED, False: Result.NOT_REPRODUCED}
            return Result.UNDECIDED if met is None else decided[met]
        assert self.proportion is not None
        low, high = found.anytime()
        least, most = self.proportion - self.within, self.proportion + self.within
        if least <= low and high <= most:
            return Result.REPRODUCED
        return Result.NOT_REPRODUCED if high < least or most < low else Result.UNDECIDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the table.

    Attributes:
        line: its line in the file.
        experiment: its name or path, without the variant.
        cell: the variant and the settings.
        claim: the claim's id.
        statement: the claim in one sentence.
        published: what was published.
        runs: how many to make at most.
    """

    line: int
    experiment: str
    cell: Cell
    claim: str
    statement: str
    published: Published
    runs: int

    @property
    def title(self) -> str:
        """The experiment with its variant and settings."""
        settings = [f"{name}={value}" for name, value in self.cell.settings]
        return " ".join([":".join(filter(None, [self.experiment, self.cell.variant])), *settings])


@dataclass(slots=True)
class Progress:
    """What the runs so far say of a row; `directories` are the names of those that count."""

    row: Row
    held: int = 0
    refuted: int = 0
    not_observed: int = 0
    directories: list[str] = field(default_factory=list)

    def add(self, verdicts: Iterable[Mapping[str, Any]], directory: str) -> None:
        """Count one more run by its verdicts."""
        for verdict in verdicts:
            if verdict["id"].rpartition(".")[2] == self.row.claim:
                self.held += verdict["verdict"] == Outcome.HOLDS
                self.refuted += verdict["verdict"] == Outcome.REFUTED
                self.not_observed += verdict["verdict"] == Outcome.NOT_OBSERVED
                self.directories.append(directory)

    @property
    def proportion(self) -> Proportion:
        """In how many runs it held, of those in which it was observed."""
        return Proportion(self.held, self.held + self.refuted)

    @property
    def result(self) -> Result:
        return self.row.published.agrees(self.proportion)

    @property
    def wants_more(self) -> bool:
        """Whether it is undecided, and may have more runs."""
        return self.result is Result.UNDECIDED and len(self.directories) < self.row.runs
