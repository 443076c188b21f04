"""The charts of values: complete descriptions with finite numbers, whatever programs report."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import with_values

from pushpull.analysis.history import Run
from pushpull.analysis.quantities import quantities
from pushpull.analysis.timeline import timeline
from pushpull.experiments import catalogue
from pushpull.report import value_charts
from pushpull.report.value_charts import ValueCharts
from pushpull.report.vega_bundle import kit
from pushpull.runs import store


def drawn(root: Path, values: Mapping[str, Sequence[float | None]]) -> list[ValueCharts]:
    stored = store.load(with_values(root, values))
    run = Run(stored, catalogue.reader(stored))
    own = quantities(run.values)
    return list(value_charts.drawn(own, run.values, timeline(stored, run), kit().charts))


def encodings(chart: Mapping[str, Any]) -> list[Any]:
    return [layer["encoding"]["y"] for layer in chart["layer"]]


def test_each_quantity_has_its_axis_and_scale(tmp_path: Path) -> None:
    values = {"latency_ms": [0.5, 700.0, 1.0], "queue_depth": [0, 3], "x": [-1e308, 1e308]}
    found = {one.title: one for one in drawn(tmp_path, values)}
    assert list(found) == ["latency, ms", "queue depth", "x"]
    titles = ["latency (ms)", "queue depth", "x"]
    for one, title, scale in zip(found.values(), titles, ["log", "linear", "symlog"], strict=True):
        json.dumps(one.charts, allow_nan=False)
        for chart in one.charts.values():
            assert {(y["title"], y["scale"]["type"]) for y in encodings(chart)} == {(title, scale)}


def test_what_is_not_finite_is_said_and_not_drawn(tmp_path: Path) -> None:
    (one,) = drawn(tmp_path, {"x": [1.0, None, 2.0]})
    assert one.left_out == "1 value that is infinite or not a number is not drawn."
    assert [row["value"] for row in one.charts["values-1"]["datasets"]["values"]] == [1.0, 2.0]
    (nothing,) = drawn(tmp_path, {"x": [None, None]})
    assert (nothing.charts, nothing.left_out[:8]) == ({}, "2 values")


def test_very_many_values_are_ranges_that_miss_no_extreme(tmp_path: Path) -> None:
    numbers = [float(k % 100) for k in range(5000)]
    numbers[2500] = 1e6
    (one,) = drawn(tmp_path, {"x": numbers})
    rows = one.charts["values-1"]["datasets"]["values"]
    assert len(rows) < 500
    assert max(row["most"] for row in rows) == 1e6
    assert min(row["value"] for row in rows) == 0.0
    quantiles = one.charts["quantiles-1"]["datasets"]["quantiles"]
    assert [row["value"] for row in quantiles if row["percent"] == 100] == [1e6, 99.0]


def test_any_number_of_quantities(tmp_path: Path) -> None:
    found = drawn(tmp_path, {f"q{k}": [1.0] for k in range(40)})
    assert len(found) == value_charts.MOST_DRAWN


@pytest.mark.parametrize(
    ("name", "title"), [("a_b_ms", "a b, ms"), ("ms", "ms"), ("_ms", " ms"), ("a_xs", "a xs")]
)
def test_the_unit_is_the_end_of_the_name(tmp_path: Path, name: str, title: str) -> None:
    (one,) = drawn(tmp_path, {name: [1.0, math.pi]})
    assert one.title == title
