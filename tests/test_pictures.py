"""The charts for the docs, drawn as files."""

import re

import pytest

from pushpull.report import chart_files, docs_charts
from pushpull.report.docs_charts import Loss

pytestmark = pytest.mark.slow


def test_the_loss_curve_has_a_mark_for_each_run_and_a_line_for_each_series() -> None:
    runs = [
        Loss(series="no work", changed=1.0, lost=0, note="the article"),
        Loss(series="no work", changed=0.01, lost=0),
        Loss(series="60 ms of work", changed=0.01, lost=8, note="60 ms of work"),
        Loss(series="60 ms of work", changed=0.002, lost=54),
    ]
    svg = str(chart_files.picture(docs_charts.losses(runs, "seconds between two messages"), "svg"))
    marks = re.findall(r'aria-roledescription="(?:point|circle|square)"[^>]*transform=', svg)
    assert len(marks) == len(runs)
    assert len(set(re.findall(r'aria-roledescription="line mark"[^>]*stroke="([^"]+)"', svg))) == 2
    assert all(text in svg for text in ("the article", "60 ms of work", "seconds between"))
