"""The page and the plot of many runs: how often each claim held, and how the figures vary."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushpull.analysis.campaign import CampaignRun, Cell
from pushpull.analysis.figures import figures, spreads
from pushpull.analysis.outcome_table import MessageCounts
from pushpull.analysis.tally import Tally
from pushpull.core.verdict import Outcome
from pushpull.report.chart_files import picture
from pushpull.report.page import plain, rendered
from pushpull.report.vega_bundle import filled, kit

_WIDTH = 520  # pixels
_LONGEST_NAME = 60  # characters of a claim in the plot
_TITLES = {
    "claims": "How often each claim held, with 95 % intervals",
    "figures": "The figures that differ: a circle for runs alike, a diamond at the median",
}
_MOST_NAMED = 5  # runs that refute a claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Many runs that were made by one command.

    Attributes:
        name: how the names of its files begin.
        command: the command line.
        runs: those that count.
        tallies: how often each claim held, in each combination that has runs.
        claims: the same as rows, see `claim_rows`.
        anytime: whether the runs were ended by a look at them, see `Proportion`.
    """

    name: str
    command: str
    runs: Sequence[CampaignRun]
    tallies: Mapping[Cell, Mapping[str, Tally]]
    claims: Sequence[Mapping[str, Any]]
    anytime: bool


def page(campaign: Campaign, drawn: Mapping[str, str]) -> str:
    """Return the page of a campaign; `drawn` are its plots."""
    _, first, _ = campaign.runs[0]
    context = {
        "name": plain(campaign.name),
        "command": plain(campaign.command),
        "summary": plain(first.description.get("summary", first.description["experiment"])),
        "runs": len(campaign.runs),
        "combinations": len(campaign.tallies),
        "interval": "at any number of runs" if campaign.anytime else "for this number of runs",
        "claims": [_claim(name, campaign) for name in _names(campaign)],
        "labels": [figure.label for figure in figures(_outcomes(campaign))],
        "figures": [
            (str(cell), {spread.figure.label: str(spread) for spread in found})
            for cell in campaign.tallies
            if (found := spreads(outcome for its, _, outcome in campaign.runs if its == cell))
        ],
        "pictures": [
            (_TITLES[name], base64.b64encode(svg.encode()).decode()) for name, svg in drawn.items()
        ],
    }
    return rendered("campaign.html", context)


def plots(campaign: Campaign) -> dict[str, str]:
    """Return the plots of `claims` and `figures` as SVG; one without data is left out."""
    charts = {"claims": _proportions(campaign), "figures": _figures(campaign)}
    return {name: str(picture(chart, "svg")) for name, chart in charts.items() if chart}


def _outcomes(campaign: Campaign) -> list[MessageCounts]:
    return [outcome for _, _, outcome in campaign.runs]


def _names(campaign: Campaign) -> list[str]:
    return list(dict.fromkeys(name for claims in campaign.tallies.values() for name in claims))


def _claim(name: str, campaign: Campaign) -> dict[str, Any]:
    """Return a claim as the template shows it, with a row for each combination."""
    found = {cell: claims[name] for cell, claims in campaign.tallies.items() if name in claims}
    first = next(iter(found.values()))
    return {
        "id": plain(name),
        "statement": plain(first.statement),
        "need": str(first.need),
        "rows": [_row(cell, name, tally, campaign) for cell, tally in found.items()],
    }


def _row(cell: Cell, name: str, tally: Tally, campaign: Campaign) -> dict[str, Any]:
    """Return how often a claim held in a combination."""
    low, high = tally.interval(anytime=campaign.anytime)
    met = tally.met(anytime=campaign.anytime)
    kind = {True: "as-expected", False: "failed", None: "not-observed"}[met]
    unusual = Outcome.HOLDS if tally.need == "never" else Outcome.REFUTED
    against = [
        run.path.resolve().name
        for its, run, _ in campaign.runs
        if its == cell
        for verdict in run.verdicts or ()
        if verdict["id"] == name and verdict["verdict"] == unusual
    ]
    return {
        "cell": str(cell),
        "held": f"{tally.proportion.held} of {tally.proportion.runs}",
        "interval": f"{low:.1%} to {high:.1%}" if tally.proportion.runs else "-",
        "not_observed": tally.not_observed,
        "kind": kind,
        "said": tally.decided(anytime=campaign.anytime),
        "against": [plain(run) for run in against[:_MOST_NAMED]],
        "more": len(against) - _MOST_NAMED,
    }


def _proportions(campaign: Campaign) -> dict[str, Any] | None:
    """Return the chart of the claims, one below another, with a line for each combination."""
    rows = [
        {
            "order": order,
            "claim": _short(name, tally),
            "cell": str(cell),
            "share": tally.proportion.share,
            "low": None if tally.never_exercised else tally.interval(anytime=campaign.anytime)[0],
            "high": None if tally.never_exercised else tally.interval(anytime=campaign.anytime)[1],
            "need": tally.need.threshold,
            "label": "never exercised" if tally.never_exercised else _counted(tally),
        }
        for order, name in enumerate(_names(campaign))
        for cell, claims in campaign.tallies.items()
        if (tally := claims.get(name)) is not None
    ]
    return _filled("proportions", "claims", rows, campaign)


def _figures(campaign: Campaign) -> dict[str, Any] | None:
    """Return the chart of the figures that differ between runs."""
    rows = []
    for order, figure in enumerate(figures(_outcomes(campaign))):
        values = [(str(cell), figure.of(outcome)) for cell, _, outcome in campaign.runs]
        if len({value for _, value in values} - {None}) > 1:
            label = f"{figure.label}, {figure.unit}" if figure.unit else figure.label
            rows += [
                {"order": order, "figure": label, "cell": cell, "value": value}
                for cell, value in values
                if value is not None and math.isfinite(value)
            ]
    return _filled("figures", "figures", rows, campaign)


def _filled(
    chart: str, dataset: str, rows: list[dict[str, Any]], campaign: Campaign
) -> dict[str, Any] | None:
    values = {"cells": [str(cell) for cell in campaign.tallies]}
    filled_in = filled(kit().charts[chart], None, values, {dataset: rows}) if rows else None
    if filled_in is not None:
        height = max(36, 22 * len(campaign.tallies))
        filled_in["spec"] = filled_in["spec"] | {"width": _WIDTH, "height": height}
    return filled_in


def _short(name: str, tally: Tally) -> str:
    statement = plain(tally.statement)
    short = f"{statement[:_LONGEST_NAME]}…" if len(statement) > _LONGEST_NAME else statement
    return f"{short} ({tally.need})"


def _counted(tally: Tally) -> str:
    return f"{tally.proportion.held} of {tally.proportion.runs}"
