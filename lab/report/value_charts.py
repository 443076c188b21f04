"""The charts of the quantities that programs reported: each over time, and as a distribution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.line_readers import NO_MESSAGE
from pushpull.analysis.quantities import Quantity
from pushpull.analysis.timeline import Timeline
from pushpull.analysis.values import Values
from pushpull.analysis.vectors import Floats
from pushpull.core.wording import counted
from pushpull.report import chart_data
from pushpull.report.vega_bundle import filled

MOST_DRAWN = 8  # quantities; a table has the others
_HEIGHT = 200  # pixels
_MOST_POINTS = 2_000  # values of a quantity that are drawn one by one
_BINS = 400  # in which more of them are drawn as ranges, over all machines
# Of these shares the distribution has a point; the tail is what latencies are about.
_PERCENTS = (*range(101), 99.5, 99.9, 99.99)
_MARKED = (50, 90, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueCharts:
    """A quantity's charts by their names, filled in; `left_out` says what they don't show."""

    title: str
    charts: Mapping[str, Mapping[str, Any]]
    left_out: str


def drawn(
    quantities: Mapping[str, Quantity],
    values: Mapping[str, Values],
    found: Timeline,
    charts: Mapping[str, Mapping[str, Any]],
) -> Iterator[ValueCharts]:
    """Give the charts of the quantities that are drawn.

    Arguments:
        quantities: in a few numbers each, those to be drawn first.
        values: the values of each.
        found: the run's timeline.
        charts: what charts.py describes.
    """
    for k, (name, one) in enumerate(list(quantities.items())[:MOST_DRAWN], 1):
        finite = _finite(values[name])
        rows = {"values": _over_time(finite, one, found), "quantiles": _quantiles(finite, one)}
        yield ValueCharts(
            title=f"{one.label}, {one.unit}" if one.unit else one.label,
            charts={
                f"{chart}-{k}": _filled(charts[chart], chart, rows[chart], finite, one, found)
                for chart in rows
                if len(finite)
            },
            left_out=_left_out(len(values[name]) - len(finite)),
        )


def _finite(values: Values) -> Values:
    return values.at(vectors.places_of(np.isfinite(values.numbers)))


def _left_out(count: int) -> str:
    if not count:
        return ""
    verb = "is" if count == 1 else "are"
    return f"{counted(count, 'value')} that {verb} infinite or not a number {verb} not drawn."


def _filled(
    chart: Mapping[str, Any],
    dataset: str,
    rows: chart_data.Rows,
    values: Values,
    one: Quantity,
    found: Timeline,
) -> dict[str, Any]:
    ours = set(values.machines)
    # In this order machines have the colours that they have elsewhere on the page.
    every = list(dict.fromkeys([*chart_data.receivers(found), *found.machines, *values.machines]))
    params = {"receivers": every, "shown": [machine for machine in every if machine in ours]}
    chart = filled(chart, _HEIGHT, params, {dataset: rows})
    title = f"{one.label} ({one.unit})" if one.unit else one.label
    scale = _scale(values.numbers)
    zero = {} if scale == "log" else {"zero": False}
    y = {"title": title, "scale": {"type": scale, **zero}}
    layers = [_with_y(layer, y, values.numbers) for layer in chart["layer"]]
    return {**chart, "layer": layers, "description": f"{title}: {chart['description']}"}


def _with_y(layer: Mapping[str, Any], y: Mapping[str, Any], numbers: Floats) -> dict[str, Any]:
    encoding = layer["encoding"]
    y = {**encoding["y"], **y}
    if y["scale"]["type"] == "symlog":  # between its ends Vega finds no ticks
        y["axis"] = {**y["axis"], "values": sorted({float(numbers.min()), 0, float(numbers.max())})}
    return {**layer, "encoding": {**encoding, "y": y}}


def _scale(numbers: Floats) -> str:
    """Return the scale on which the values can be told apart."""
    least, most = float(numbers.min()), float(numbers.max())
    if least > 0 and most / 1000 >= least:
        return "log"
    return "symlog" if max(-least, most) >= 1e15 else "linear"


def _over_time(values: Values, one: Quantity, found: Timeline) -> chart_data.Rows:
    """Return values over time: one by one, or as ranges if there are too many."""
    if len(values) > _MOST_POINTS:
        return list(_ranges(values, one, found))
    names = [machine for machine, _ in values.sources]
    seconds = (values.times - found.origin).tolist()
    rows = zip(seconds, values.numbers.tolist(), values.places, values.messages, strict=True)
    return [
        {"t": t, "value": value, "machine": names[place], "tooltip": (
            f"{names[place]}, {t:.3f} s: {one.in_words(value)}"
            + (f", message {message}" if message != NO_MESSAGE else "")
        )}
        for t, value, place, message in rows
    ]  # fmt: skip


def _ranges(values: Values, one: Quantity, found: Timeline) -> Iterator[dict[str, Any]]:
    start, end = float(values.times[0]), float(values.times[-1])
    bins = max(20, _BINS // len(values.machines))
    for machine in values.machines:
        ours = values.of(machine)
        part = ((ours.times - start) / max(end - start, 1e-9) * bins).astype(np.int64)
        firsts = np.flatnonzero(np.diff(part, prepend=-1))
        for first, last in zip(firsts, [*firsts[1:], len(part)], strict=True):
            low, middle, high = _at(np.sort(ours.numbers[first:last]), (0, 50, 100))
            t = float(ours.times[first]) - found.origin
            words = f"{one.in_words(low)} to {one.in_words(high)}, median {one.in_words(middle)}"
            many = counted(int(last - first), "value")
            yield {"t": t, "value": low, "most": high, "middle": middle, "machine": machine,
                   "tooltip": f"{machine}, {many} from {t:.3f} s on: {words}"}  # fmt: skip


def _quantiles(values: Values, one: Quantity) -> chart_data.Rows:
    """Return which share of the values of each machine is not larger than what."""
    rows: chart_data.Rows = []
    for machine in values.machines:
        known = np.sort(values.of(machine).numbers)
        percents = sorted(_PERCENTS) if len(known) > 1 else [100]
        rows += [
            {"percent": percent, "value": value, "machine": machine, "marked": percent in _MARKED,
             "tooltip": f"{machine}: {percent:g} % are at most {one.in_words(value)}"}
            for percent, value in zip(percents, _at(known, percents), strict=True)
        ]  # fmt: skip
    return rows


def _at(known: Floats, percents: Sequence[float]) -> list[float]:
    """Return percentiles of sorted numbers by the nearest rank."""
    return [float(n) for n in np.percentile(known, percents, method="inverted_cdf")]
