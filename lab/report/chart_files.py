"""A run's charts as SVG and PNG files, for papers and slides; the page has the same charts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushpull.analysis.history import Run
from pushpull.analysis.quantities import quantities
from pushpull.analysis.timeline import Timeline, timeline
from pushpull.core.records import Reader
from pushpull.report import chart_data, value_charts
from pushpull.report.page import CHARTS
from pushpull.report.vega_bundle import filled, kit
from pushpull.runs.directory import attach
from pushpull.runs.store import StoredRun

FORMATS = ("svg", "png")
_WIDTH = 900  # pixels
_MOST_DRAWN = 2_000  # messages
_LABEL = 20  # pixels that a message's number needs beside it
_PNG_SCALE = 2


def make(stored: StoredRun, reader: Reader, form: str) -> list[Path]:
    """Write each of the run's charts into its directory; return their paths.

    Arguments:
        stored: the run.
        reader: returns the message that a line is about, if any.
        form: `svg` or `png`.

    Raises:
        LabError: a file can't be written.
    """
    run = Run(stored, reader)
    found = timeline(stored, run, by_program=True)
    charts = specs(found, chart_data.window(found))
    for one in value_charts.drawn(quantities(run.values), run.values, found, kit().charts):
        charts |= {name: {**spec, "width": _WIDTH} for name, spec in one.charts.items()}
    return [
        attach(stored.path, f"{name}.{form}", picture(spec, form)) for name, spec in charts.items()
    ]


def specs(found: Timeline, window: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Return the charts of a run, filled in; the timeline covers `window`, in seconds."""
    ready, heights = kit(), chart_data.heights(found)
    given, data = values(found, window), datasets(found, window)
    return {
        name: filled(ready.charts[name], heights[name], given, data) | {"width": _WIDTH}
        for name in CHARTS
    }


def values(found: Timeline, window: tuple[float, float]) -> dict[str, Any]:
    """Return the values of the charts' parameters."""
    return {
        "from_s": window[0],
        "to_s": window[1],
        "lanes": found.machines,
        "count": len(found.machines),
        "receivers": chart_data.receivers(found),
        "rows": chart_data.rows_of_strip(found),
        "edge": chart_data.edge(found),
    }


def datasets(found: Timeline, window: tuple[float, float]) -> dict[str, chart_data.Rows]:
    """Return the charts' data by name; the timeline's is what lies inside `window`."""
    low, high = window
    deliveries = found.deliveries
    # NaN, of what was never sent or never came, is on no side of anything.
    inside = deliveries.at(~(deliveries.sent > high) & ~(deliveries.got < low))
    places, _ = chart_data.kept(inside.odd, _MOST_DRAWN)
    drawn = list(inside.at(places))
    times = [p.sent for p in drawn if p.sent is not None]
    used = _WIDTH * (max(times) - min(times)) / (high - low) if times else 0
    labels = len(drawn) == 1 or len(drawn) * _LABEL <= used
    return {
        "messages": chart_data.messages(drawn, found.machines, labels=labels),
        "lives": chart_data.spans(found, "life"),
        "connections": chart_data.spans(found, "connection"),
        "faults": chart_data.spans(found, "fault"),
        "moments": chart_data.moments(found),
        "notes": [],
        "bars": [],
        "cells": chart_data.cells(found),
        "shares": chart_data.shares(found),
        "latencies": chart_data.latencies(found),
    }


def picture(spec: Mapping[str, Any], form: str) -> str | bytes:
    """Return a filled chart on white: as SVG, or as PNG at twice the resolution."""
    import vl_convert

    config = kit().themes["light"] | {"background": "white"}
    if form == "svg":
        return str(vl_convert.vegalite_to_svg(dict(spec), config=config))
    return bytes(vl_convert.vegalite_to_png(dict(spec), config=config, scale=_PNG_SCALE))
