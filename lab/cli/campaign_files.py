"""What many runs leave beside their run directories: tables, a page and a plot."""

import importlib
import importlib.util
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis.campaign import CampaignRun, Cell, claim_rows, csv_of, run_rows, tallies_of
from pushpull.analysis.history import Run
from pushpull.analysis.outcome_table import outcome
from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.experiments import catalogue
from pushpull.report import campaign_page
from pushpull.report.campaign_page import Campaign
from pushpull.runs.store import StoredRun


def measured(cell: Cell, stored: StoredRun) -> CampaignRun:
    """Return a run with its combination and its figures."""
    interval = float(stored.description["parameters"]["interval"])
    return cell, stored, outcome(Run(stored, catalogue.reader(stored)), interval)


def write(
    root: Path, name: str, command: str, every: Sequence[Cell], runs: Sequence[CampaignRun],
    *, anytime: bool = False,
) -> None:  # fmt: skip
    """Write the files of a campaign, and print their paths.

    Arguments:
        root: the folder of its runs.
        name: how the files' names begin.
        command: the command line that makes these runs.
        every: its combinations, in their order.
        runs: those that count.
        anytime: whether the runs were ended by a look at them, see `Proportion`.
    """
    tallies = tallies_of(every, runs)
    rows, claims = run_rows(runs), claim_rows(tallies, anytime=anytime)
    _write(root / f"{name}.csv", csv_of(rows), "table")
    _write(root / f"{name}.claims.csv", csv_of(claims), "claims")
    _write(root / f"{name}.json", _json({"runs": rows, "claims": claims}), "json")
    _write_parquet(root / f"{name}.parquet", rows)
    campaign = Campaign(
        name=name, command=command, runs=runs, tallies=tallies, claims=claims, anytime=anytime
    )
    if runs:
        drawn = campaign_page.plots(campaign)
        for what, svg in drawn.items():
            _write(root / f"{name}.{what}.svg", svg, "plot")
        _write(root / f"{name}.html", campaign_page.page(campaign, drawn), "page")


def _json(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return tables as JSON, which has no infinity: null."""
    finite = {
        name: [{key: _finite(value) for key, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }
    return json.dumps(finite, indent=1, allow_nan=False) + "\n"


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write(path: Path, text: str, what: str) -> None:
    with file_errors(path):
        path.write_text(text, "utf-8")
    print(f"{what + ':':<9}{path}")


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of runs once more, with types, for data frames."""
    if importlib.util.find_spec("polars") is None:
        print("parquet: not written, as Polars is not installed")
        return
    polars = importlib.import_module("polars")
    try:
        polars.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    except OSError as error:
        raise LabError(f"can't be written: {error.strerror}", where=str(path)) from error
    print(f"parquet: {path}")
