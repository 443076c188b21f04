"""A run's page: one self-contained file with the verdicts, the charts and the logs."""

import base64
import functools
import gc
import hashlib
import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pushpull.analysis import cut
from pushpull.analysis.deliveries import FATES
from pushpull.analysis.figures import Spread, spreads
from pushpull.analysis.history import Run
from pushpull.analysis.outcome_table import outcome
from pushpull.analysis.quantities import Quantity, quantities
from pushpull.analysis.timeline import Timeline, timeline
from pushpull.core.records import Reader
from pushpull.core.text import duration, harmless
from pushpull.core.wording import counted
from pushpull.report import chart_data, page_logs
from pushpull.report.setup import implementation, setup
from pushpull.report.value_charts import drawn
from pushpull.report.vega_bundle import Kit, is_kept, kit
from pushpull.report.verdicts import KINDS, events_in_words, kind_of
from pushpull.runs import store
from pushpull.runs.directory import attach
from pushpull.runs.store import StoredRun

_TEMPLATES = Path(__file__).with_name("templates")
CHARTS = ("timeline", "strip", "shares", "latency")
_ROWS_OF = {"strip": "cells", "shares": "shares", "latency": "latencies"}
_LONGEST_TEXT = 2_000  # characters
_ORDER = ("failed", "not observed", "refuted as expected", "as expected", "not applicable")
SIGNS = {
    "failed": "✗", "not observed": "?", "refuted as expected": "✓", "as expected": "✓",
    "not applicable": "-",
}  # fmt: skip


def make(path: Path, reader_of: Callable[[StoredRun], Reader]) -> Path:
    """Write the page of a run into its directory; return its path.

    `reader_of` returns the reader of a run's lines.

    Raises:
        LabError: the run can't be read, or the page can't be written.
    """
    # This makes a million small objects and drops none: garbage collection is a fifth of the time.
    gc.disable()
    try:
        stored = store.load(path)
        return attach(path, "report.html", pieces(stored, reader_of(stored), kit()))
    finally:
        gc.enable()


def get_ready() -> None:
    """Do in advance what needs no run, which halves the time to judge one and to make its page."""
    importlib.import_module("numpy.ma")  # NumPy imports it when it is asked for unique values
    for template in ("base.html", "report.html"):
        _environment().get_template(template)
    if is_kept():
        kit()


def page(stored: StoredRun, reader: Reader, ready: Kit) -> str:
    """Return the page of a run as one text, see `pieces`."""
    return "".join(pieces(stored, reader, ready))


def pieces(stored: StoredRun, reader: Reader, ready: Kit) -> Iterator[str]:
    """Give the page of a run, whatever its machines printed, piece by piece.

    Arguments:
        stored: any run, even an interrupted one.
        reader: returns the message that a line is about, if any.
        ready: the plotting library and the charts.
    """
    run = Run(stored, reader)
    found = timeline(stored, run, by_program=True)
    rows = page_logs.columns(stored, run, found)
    figures = [(one.figure.label, str(one)) for one in _figures(stored, run)]
    own = quantities(run.values)
    value_charts = list(drawn(own, run.values, found, ready.charts))
    del run  # its columns are as large as all that follows
    data = picture_data(found) | {
        "rows": rows,
        "claims": [
            {"statement": plain(v["statement"]), "label": KINDS[kind_of(v)][0],
             "verdict": v["verdict"], "messages": v["evidence"].get("messages", [])}
            for v in stored.verdicts or ()
        ],
        "first": _first_shown(found, stored.verdicts or ()),
    }  # fmt: skip
    context = {
        "run": stored.description,
        "name": stored.path.resolve().name,
        "state": stored.state,
        "notices": [plain(notice) for notice in cut.notices(stored)],
        "verdicts": [_shown(v) for v in _sorted(stored.verdicts or ())],
        "summary": plain(stored.description.get("summary", stored.description["experiment"])),
        "setup": setup(stored, found),
        "implementation": plain(implementation(stored)),
        "counted": _counted(stored),
        "clocks": _clocks(stored),
        "figures": figures,
        "machines": found.machines,
        "quantities": [_row(one) for one in own.values()],
        "value_charts": value_charts,
        "bounded": f"{page_logs.EACH_END:,}" if data["rows"]["bounded"] else "",
        "has": {name: bool(data[rows]) for name, rows in _ROWS_OF.items()},
        "started": time.strftime("%-d %B %Y, %H:%M:%S UTC", time.gmtime(found.origin)),
    }
    columns = {name: Markup(column.pop("bytes")) for name, column in data["columns"].items()}
    charts = {name: ready.charts[name] for name in CHARTS}
    data |= {"charts": charts, "themes": ready.themes}
    data["valueCharts"] = {name: spec for one in value_charts for name, spec in one.charts.items()}
    script = (_TEMPLATES / "page.js").read_text("utf-8")
    yield from _rendered("report.html", context, (ready.script, script), data, columns)


def rendered(
    template: str, context: Mapping[str, Any], scripts: Sequence[str] = (), data: object = None
) -> str:
    """Render a template with its style, and a content security policy that allows only `scripts`.

    Arguments:
        template: its name.
        context: its variables; all of them are escaped.
        scripts: the page's scripts.
        data: what the scripts draw, as JSON values.
    """
    return "".join(_rendered(template, context, scripts, data))


def _rendered(
    template: str,
    context: Mapping[str, Any],
    scripts: Sequence[str] = (),
    data: object = None,
    columns: Mapping[str, Markup] | None = None,
) -> Iterator[str]:
    """Give a rendered template piece by piece; `columns` are more data, as base64."""
    scripts = [script.replace("</script", "<\\/script") for script in scripts]
    return (
        _environment()
        .get_template(template)
        .generate(
            context,
            data=data,
            columns=columns or {},
            scripts=[Markup(script) for script in scripts],
            policy=" ".join(f"'sha256-{_hash(script)}'" for script in scripts) or "'none'",
            style=Markup((_TEMPLATES / "page.css").read_text("utf-8")),
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "in_words": in_words, "counted": counted}
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def picture_data(found: Timeline) -> dict[str, Any]:
    """Return what the page's script draws, as JSON values."""
    places, stride = chart_data.kept(found.deliveries.odd, chart_data.MOST_KEPT)
    kept = found.deliveries if stride == 1 else found.deliveries.at(places)
    return {
        "end": found.end,
        "heights": chart_data.heights(found),
        "lanes": found.machines,
        "receivers": chart_data.receivers(found) or found.machines,  # a legend needs one
        "edge": chart_data.edge(found),
        "stripRows": chart_data.rows_of_strip(found),
        **chart_data.columns(kept),
        "total": len(found.deliveries),
        "stride": stride,
        "fates": list(FATES.values()),
        "lives": chart_data.spans(found, "life"),
        "connections": chart_data.spans(found, "connection"),
        "faults": chart_data.spans(found, "fault"),
        "moments": chart_data.moments(found),
        "periods": [{"start": e.start, "end": e.end, "text": e.text} for e in found.periods],
        "cells": chart_data.cells(found),
        "shares": chart_data.shares(found),
        "latencies": chart_data.latencies(found),
    }


def plain(text: object) -> str:
    """Return untrusted text as one harmless line."""
    return harmless(" ".join(str(text).split()), _LONGEST_TEXT)


def in_words(value: object) -> str:
    """Return the value of a setting as text."""
    words = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
    return plain(words) or "none"


def _sorted(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(verdicts, key=lambda v: _ORDER.index(kind_of(v)))


def _shown(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return a verdict as the template shows it."""
    kind, evidence = kind_of(verdict), verdict.get("evidence") or {}
    messages = evidence.get("messages", [])
    inconclusive = verdict["by_chance"] and kind == "not observed"
    notes = ["inconclusive: not counted"] if inconclusive else []
    notes += ["partial: the run was interrupted"] if verdict.get("partial") else []
    return {
        "kind": kind.replace(" ", "-"),
        "sign": SIGNS[kind],
        "label": verdict["verdict"],
        "note": "; ".join(["as expected"] * (kind == "refuted as expected") + notes),
        "statement": plain(verdict["statement"]),
        "why": plain(verdict["why"]),
        "source": plain(verdict["source"]),
        "expected": plain(verdict["expected"]),
        "because": plain(verdict["because"]),
        "rests_on": plain(verdict.get("rests_on", "")),
        "disputed_by": plain(verdict.get("disputed_by", "")),
        "id": plain(verdict["id"]),
        "messages": messages,
        "more": evidence.get("messages_in_all", len(messages)) - len(messages),
        "events": events_in_words(evidence.get("events", [])),
    }


def _counted(stored: StoredRun) -> list[tuple[str, str]]:
    """Return the number of verdicts of each kind, in words, the worst first."""
    kinds = [kind_of(v) for v in stored.verdicts or ()]
    return [
        (kind.replace(" ", "-"), f"{kinds.count(kind)} {KINDS[kind][0]}")
        for kind in _ORDER if kind in kinds
    ]  # fmt: skip


def _figures(stored: StoredRun, run: Run) -> Sequence[Spread]:
    """Return the figures of a run in which messages were sent."""
    interval = float(stored.description["parameters"]["interval"])
    return spreads([replace(outcome(run, interval), quantities={})]) if run.dealt else []


def _row(one: Quantity) -> tuple[str, list[str]]:
    """Return a quantity as a row of the table."""
    numbers = (one.least, one.median, one.p90, one.p99, one.most)
    return plain(one.name), [f"{one.count:,}", *map(one.in_words, numbers), f"{one.odd:,}"]


def _clocks(stored: StoredRun) -> str:
    clocks: Mapping[str, Mapping[str, float]] = stored.description.get("clocks", {})
    worst = max((c["uncertainty_s"] for c in clocks.values()), default=0.0)
    if any(c.get("wall_ahead_s") is not None for c in clocks.values()):
        return (
            "The lab set wall clocks of machines, as the faults say. No time here comes from those:"
            " all are those of one clock that was never set."
        )
    if not worst:
        return "All machines shared one clock, so their times can be compared as they are."
    return (
        "Times are corrected by each machine's clock offset; between two machines they may still"
        f" be wrong by {duration(2 * worst)}."
    )


def _first_shown(found: Timeline, verdicts: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the message whose story the page shows first.

    That is one that went wrong, or else the first after a fault, or one that decides a claim.
    """
    deliveries = found.deliveries
    faults = [s.start for s in found.spans if s.kind == "fault"]
    odd = ~deliveries.fate_is("arrived", "unknown")
    after = deliveries.sent > faults[0] if faults else odd
    for wanted in (odd, after):
        if wanted.any():
            return int(deliveries.numbers[wanted.argmax()])
    # A few messages explain more than many, and those that refute a claim more than others.
    decisive = sorted(verdicts, key=lambda v: (v["verdict"] != "refuted", _extent(v)))
    others = [n for v in decisive for n in v["evidence"].get("messages", [])[-1:]]
    others += [int(number) for number in deliveries.numbers[:1]]
    return others[0] if others else None


def _extent(verdict: Mapping[str, Any]) -> int:
    return len(verdict["evidence"].get("messages", []))


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
