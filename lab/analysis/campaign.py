"""The runs of a sweep: what each was to vary, which ones are done, and their table."""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.analysis.outcome_table import Outcome
from lab.runs.store import StoredRun


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of what a sweep varies: a variant, and the settings by their names."""

    variant: str
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        words = [self.variant, *(f"{name}={value}" for name, value in self.settings)]
        return " ".join(filter(None, words)) or "as it is"


def cells(variants: Iterable[str], vary: Mapping[str, Sequence[str]]) -> list[Cell]:
    """Return every combination, in the order in which they were given."""
    settings = [[(name, value) for value in values] for name, values in vary.items()]
    return [Cell(variant, each) for variant in variants for each in itertools.product(*settings)]


def plan(every: Sequence[Cell], repeat: int, done: Iterable[StoredRun]) -> Iterator[Cell]:
    """Give the cells whose runs are missing, in turn, so that what drifts hits all alike."""
    missing = {str(cell): repeat for cell in every}
    for run in done:
        if (name := name_of(run)) in missing:
            missing[name] -= 1
    for number in range(repeat, 0, -1):
        yield from (cell for cell in every if missing[str(cell)] >= number)


def name_of(run: StoredRun) -> str:
    """Return the name of the cell that a run belongs to; empty for a run of no sweep."""
    return str(run.description.get("sweep", {}).get("cell", ""))


def is_done(run: StoredRun) -> bool:
    """Tell whether a run counts: it came to its end, and nothing disturbed it."""
    disturbance = run.description.get("disturbance", {})
    return run.state == "finished" and not disturbance.get("disturbed", False)


def csv_of(runs: Iterable[tuple[Cell, StoredRun, Outcome]]) -> str:
    """Return a table with a row for each run: what was varied, its figures, its verdicts."""
    rows = [_row(cell, run, outcome) for cell, run, outcome in runs]
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(cell: Cell, run: StoredRun, outcome: Outcome) -> dict[str, Any]:
    figures = {name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}
    verdicts = {_claim(v["id"]): v["verdict"] for v in run.verdicts or ()}
    head = {"run": run.path.name, "variant": cell.variant, **dict(cell.settings)}
    return {**head, **figures, **verdicts}


def _claim(identity: str) -> str:
    return identity.rpartition(".")[2]
