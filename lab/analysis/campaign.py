"""The runs of a sweep: which combinations it has, which runs are done, and their table."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushpull.analysis import tally
from pushpull.analysis.outcome_table import MessageCounts
from pushpull.analysis.tally import Tally
from pushpull.runs.store import StoredRun


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of a sweep: a variant, and settings as names and values.

    `experiment` is its name where a campaign has several.
    """

    variant: str
    settings: tuple[tuple[str, str], ...] = ()
    experiment: str = ""

    def __str__(self) -> str:
        settings = [f"{name}={value}" for name, value in self.settings]
        return " ".join(filter(None, [self.experiment, self.variant, *settings])) or "as it is"


def cells(variants: Iterable[str], vary: Mapping[str, Sequence[str]]) -> list[Cell]:
    """Return every combination, in the given order."""
    settings = [[(name, value) for value in values] for name, values in vary.items()]
    return [Cell(variant, each) for variant in variants for each in itertools.product(*settings)]


def plan(every: Sequence[Cell], repeat: int, done: Iterable[StoredRun]) -> Iterator[Cell]:
    """Yield the cells whose runs are missing, in turns, so that a drift affects all alike."""
    missing = {str(cell): repeat for cell in every}
    for run in done:
        if (name := name_of(run)) in missing:
            missing[name] -= 1
    for number in range(repeat, 0, -1):
        yield from (cell for cell in every if missing[str(cell)] >= number)


def name_of(run: StoredRun) -> str:
    """Return the name of a run's cell; empty for a run outside any sweep."""
    return str(run.description.get("sweep", {}).get("cell", ""))


def is_done(run: StoredRun) -> bool:
    """Return whether a run counts: it finished, and nothing disturbed it.

    One whose programs can't talk to each other counts too: that is its result.
    """
    disturbance = run.description.get("disturbance", {})
    is_over = run.state == "finished" or bool(run.description.get("never_connected"))
    return is_over and not disturbance.get("disturbed", False)


CampaignRun = tuple[Cell, StoredRun, MessageCounts]


def run_rows(runs: Iterable[CampaignRun]) -> list[dict[str, Any]]:
    """Return a row for each run: its settings, figures and verdicts."""
    return [_row(cell, run, outcome) for cell, run, outcome in runs]


def claim_rows(
    tallies: Mapping[Cell, Mapping[str, Tally]], *, anytime: bool
) -> list[dict[str, Any]]:
    """Return a row for each claim in each combination: how often it held, and what that decides.

    `anytime` says that the runs were ended by a look at them, see `Proportion`.
    """
    return [
        {"experiment": cell.experiment, "variant": cell.variant, **dict(cell.settings)}
        | {"claim": claim, "statement": tally.statement, "need": str(tally.need)}
        | {"held": tally.proportion.held, "runs": tally.proportion.runs}
        | {"not_observed": tally.not_observed, "never_exercised": tally.never_exercised}
        | dict(zip(("low", "high"), tally.interval(anytime=anytime), strict=True))
        | {"decided": tally.decided(anytime=anytime)}
        for cell, claims in tallies.items()
        for claim, tally in claims.items()
    ]


def tallies_of(every: Iterable[Cell], runs: Iterable[CampaignRun]) -> dict[Cell, dict[str, Tally]]:
    """Return how often each claim held in each combination that has runs."""
    found: dict[Cell, dict[str, Tally]] = {cell: {} for cell in every}
    for cell, run, _ in runs:
        tally.add(found[cell], run.verdicts or ())
    return {cell: tallies for cell, tallies in found.items() if tallies}


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a CSV table; a row may lack what others have."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(cell: Cell, run: StoredRun, outcome: MessageCounts) -> dict[str, Any]:
    counts = [name for name in MessageCounts.__dataclass_fields__ if name != "quantities"]
    figures = {name: getattr(outcome, name) for name in counts} | dict(outcome.quantities)
    verdicts = {_claim(v["id"]): v["verdict"] for v in run.verdicts or ()}
    head = {"run": run.path.name, "variant": cell.variant, **dict(cell.settings)}
    if cell.experiment:
        head = {"experiment": cell.experiment, **head}
    return {**head, **figures, **verdicts}


def _claim(identity: str) -> str:
    return identity.rpartition(".")[2]
