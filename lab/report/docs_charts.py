"""The charts in the docs, made from runs by `python -m docs.pictures`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pushpull.analysis.history import NO_ORDER_S, Run
from pushpull.analysis.timeline import Timeline, timeline
from pushpull.core.records import Reader
from pushpull.report import chart_data, chart_files
from pushpull.report.vega_bundle import filled, kit
from pushpull.runs.store import StoredRun

_LAST_SHOWN = 4  # the last message in the finding's chart
_LANES = {"messages", "lives", "connections", "faults"}
_TIMES = {"start", "end", "sent", "got", "arrived", "t"}


def timeline_of(stored: StoredRun, reader: Reader) -> Timeline:
    """Return the timeline of a stored run, whose lines `reader` reads as messages."""
    return timeline(stored, Run(stored, reader))


def finding(found: Timeline) -> dict[str, Any] | None:
    """Return the chart of the refuted explanation: the handshakes and first messages on one axis.

    The second machine is connected long before message 1 is sent, yet that goes to the first.
    None for a run in which that did not happen.
    """
    links = [span for span in found.spans if span.kind == "connection"]
    sent = {p.number: p for p in found.deliveries if p.sent is not None}
    if len(links) < 2 or _LAST_SHOWN not in sent or sent[0].to != sent[1].to:
        return None
    second, departed = links[1], sent[1].sent or 0.0
    if not (sent[0].sent or 0.0) + NO_ORDER_S < second.start < departed - NO_ORDER_S:
        return None
    end = sent[_LAST_SHOWN].sent or 0.0
    window = (links[0].start - 0.1 * (end - links[0].start), end + 0.1 * (end - links[0].start))
    chart = chart_files.specs(found, window)["timeline"]
    lane = {name: k for k, name in enumerate(found.machines)}
    lead_s = departed - second.start
    early = f"{second.machine} is connected {lead_s:.3f} s before message 1 is sent,"
    notes = [
        {"t": second.start, "lane": lane[second.machine], "label": early},
        {"t": departed, "lane": lane[sent[1].to], "label": f"which still goes to {sent[1].to}"},
    ]
    title = f"Message 1 goes to {sent[1].to} again, though {second.machine} is connected"
    chart["datasets"] = chart["datasets"] | {"notes": notes}
    return chart | {"title": {"text": title, "anchor": "start", "fontSize": 15}}


def ways(runs: Mapping[str, Timeline]) -> dict[str, Any]:
    """Return small multiples of timelines: one for each way to leave, named by its key.

    All have the same machines; second 0 of each is its first message.
    """
    rows: chart_data.Rows = []
    longest = 0.0
    for order, (way, found) in enumerate(runs.items()):
        start, end = chart_data.window(found)
        longest = max(longest, end - start)
        for layer, data in chart_files.datasets(found, (start, end)).items():
            for row in data if layer in _LANES else ():
                moved = {
                    key: row[key] - start for key in _TIMES & row.keys() if row[key] is not None
                }
                rows.append(row | moved | {"way": way, "layer": layer, "order": order})
    one = next(iter(runs.values()))
    values = chart_files.values(one, (0.0, longest))
    for row in rows:  # clip what lies before the first message or after the last
        for key in ("start", "end", "t"):
            if key in row:
                row[key] = min(max(row[key], 0.0), longest)
    return filled(kit().charts["ways"], None, values, {"ways": rows})


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One point of a loss curve: the run's parameter, its losses, and a note if it has one."""

    series: str
    changed: float
    lost: int
    note: str = ""


def losses(runs: Sequence[Loss], title: str) -> dict[str, Any]:
    """Return the loss curve.

    Arguments:
        runs: a mark for each; a line joins those of a series, in order of first appearance.
        title: the title of the x axis, which shows the parameter that changed between runs.
    """
    rows = [
        asdict(run) | {"tooltip": f"{run.series}, {run.changed:g} {title}: {run.lost} lost"}
        for run in runs
    ]
    values = {"values": sorted({run.changed for run in runs})}
    chart = filled(kit().charts["losses"], 240, values, {"losses": rows}) | {"width": 720}
    below = {"anchor": "middle", "orient": "bottom", "fontSize": 13, "fontWeight": "normal"}
    return chart | {"title": {"text": title, **below}}


def lost(found: Timeline) -> int:
    """Return how many messages of a run were lost."""
    return sum(p.fate == "lost" for p in found.deliveries)
