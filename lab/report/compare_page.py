"""The page that shows two runs side by side and marks the differences."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis.history import Run
from pushpull.analysis.quantities import quantities
from pushpull.analysis.side_by_side import TIMES, differences
from pushpull.analysis.timeline import Timeline
from pushpull.core.records import Reader
from pushpull.report import chart_data, chart_files, docs_charts
from pushpull.report.page import in_words, plain, rendered
from pushpull.report.setup import setup
from pushpull.runs.directory import attach
from pushpull.runs.store import StoredRun

_MOST_NAMED = 60  # lines

_Pair = tuple[str, str, str]  # a name, and its value in each of the two runs


def make(
    one: StoredRun, other: StoredRun, reader_of: Callable[[StoredRun], Reader], folder: Path
) -> Path:
    """Write the page into a folder, such as the directory of run `one`; return its path.

    Raises:
        LabError: the file can't be written.
    """
    name = f"compared-with-{other.path.resolve().name.lower()}"[:61]
    return attach(folder, f"{name}.html", page(one, other, reader_of))


def page(one: StoredRun, other: StoredRun, reader_of: Callable[[StoredRun], Reader]) -> str:
    """Return the page of two runs; `reader_of` returns the reader of a run's lines."""
    flows = [docs_charts.timeline_of(run, reader_of(run)) for run in (one, other)]
    longest = max(end - start for start, end in map(chart_data.window, flows))
    verdicts = list(_verdicts(one, other))
    a, b = (
        {
            "letter": letter,
            "name": plain(run.path.resolve().name),
            "summary": plain(run.description.get("summary", run.description["experiment"])),
            "provider": plain(run.description.get("provider", "")),
            "setup": setup(run, found),
            "picture": _picture(found, longest),
        }
        for letter, run, found in zip("AB", (one, other), flows, strict=True)
    )
    context = {
        "a": a,
        "b": b,
        "verdicts": verdicts,
        "differing": sum(before != after for _, before, after in verdicts),
        "shares": _pairs(*map(_shares, flows)),
        "values": _pairs(*(_quantities(run, reader_of(run)) for run in (one, other))),
        "settings": _pairs(_settings(one), _settings(other)),
        "lists": list(_lines(one, other)),
        "times": TIMES,
    }
    return rendered("compare.html", context)


def _verdicts(one: StoredRun, other: StoredRun) -> Iterator[_Pair]:
    """Yield each claim with its verdicts, those that differ first."""
    before, after = ({v["id"]: v for v in run.verdicts or ()} for run in (one, other))
    rows = [
        (plain(verdict["statement"]), _outcome(before.get(key)), _outcome(after.get(key)))
        for key, verdict in (after | before).items()
    ]
    yield from sorted(rows, key=lambda row: row[1] == row[2])


def _outcome(verdict: Mapping[str, Any] | None) -> str:
    return "-" if verdict is None else plain(verdict["verdict"])


def _picture(found: Timeline, longest: float) -> str:
    start, _ = chart_data.window(found)
    svg = chart_files.picture(chart_files.specs(found, (start, start + longest))["timeline"], "svg")
    assert isinstance(svg, str)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _shares(found: Timeline) -> dict[str, str]:
    if not found.deliveries:
        return {}
    got = chart_data.received(found)
    lost, late = (found.deliveries.of_fate(fate) for fate in ("lost", "late"))
    counted = {name: f"{got[name]:,}" for name in chart_data.receivers(found)}
    return counted | {"lost": f"{lost:,}", "late": f"{late:,}"}


def _quantities(run: StoredRun, reader: Reader) -> dict[str, str]:
    """Return each quantity of the programs' own in a few words."""
    return {one.name: str(one) for one in quantities(Run(run, reader).values).values()}


def _settings(run: StoredRun) -> dict[str, str]:
    description = run.description
    settings: dict[str, Any] = {
        key: description.get(key, "") for key in ("provider", "implementation")
    }
    settings |= description.get("parameters", {}) | description.get("environment", {})
    for name, facts in description.get("machines", {}).items():
        settings |= {f"{name}: {key}": value for key, value in facts.items()}
    return {plain(key).replace("_", " "): in_words(value) for key, value in settings.items()}


def _pairs(one: Mapping[str, str], other: Mapping[str, str]) -> list[_Pair]:
    return [(key, one.get(key, "-"), other.get(key, "-")) for key in {**one, **other}]


def _lines(one: StoredRun, other: StoredRun) -> Iterator[tuple[str, Sequence[str], int]]:
    found = differences(one, other)
    lists = {f"{m} in A, {n} in B": lines for (m, n), lines in found.moved.items()}
    lists |= {"only in A": found.missing, "only in B": found.added}
    for label, lines in lists.items():
        if lines:
            yield label, [plain(line) for line in lines[:_MOST_NAMED]], len(lines) - _MOST_NAMED
