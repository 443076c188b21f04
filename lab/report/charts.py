"""The charts of a run, described with Altair. Their data is filled in later, by name.

So one description serves the page, where a browser fills it in, and the files of `fab plot`; and
it can be cached, as making it takes a second. chart_theme.py has the colours and line styles.
"""

from collections.abc import Callable
from typing import Any

import altair as alt

from pushpull.report import campaign_charts

_Layers = campaign_charts.Layers
_SINCE_START = "seconds since the first program was started"
_WINDOW = alt.selection_interval(
    name="window",
    encodings=["x"],
    bind="scales",
    zoom="wheel![event.ctrlKey || event.metaKey]",  # without Ctrl the wheel scrolls the page
)
# The timeline's parameters: its window in seconds, the machines, their number, the receivers, and
# the number of the selected message.
_VALUES = {"from_s": 0, "to_s": 1, "lanes": [], "count": 1, "receivers": [], "chosen": -1}
_NOTE_ROOM = 90  # pixels: half of a note's width
# A label goes on the roomier side of its mark, and is truncated to fit.
_PLACE, _ROOM = "scale('x', datum.start)", "item.mark.group.width"
_ROOMIER_SIDE: dict[str, Any] = {
    "align": alt.ExprRef(f"2 * {_PLACE} > {_ROOM} ? 'right' : 'left'"),
    "dx": alt.ExprRef(f"2 * {_PLACE} > {_ROOM} ? -5 : 5"),
    "limit": alt.ExprRef(f"max({_PLACE}, {_ROOM} - {_PLACE}) - 8"),
}
_TICKS_MS = [-1, -0.5, 0, 0.1, 0.2, 0.5, *(n * 10**k for k in range(6) for n in (1, 3))]
_RECEIVERS = alt.ExprRef("length(receivers) ? receivers : ['nobody']")  # a legend needs one
_LEGEND = alt.Legend(title=None, orient="top", labelFontSize=12, labelLimit=150, symbolSize=80)
_SHOWN = alt.Legend(**_LEGEND.to_dict(), values=alt.ExprRef("shown"))  # the machines in a chart
_TOOLTIP = alt.Tooltip("tooltip:N", title=" ")


def described() -> dict[str, dict[str, Any]]:
    """Return the description of each chart by its name."""
    charts = {
        "timeline": _timeline(),
        "strip": _strip(),
        "shares": _shares(),
        "latency": _latency(),
        "values": _own_values(),
        "quantiles": _quantiles(),
        "ways": _ways(),
        "losses": _losses(),
        "proportions": campaign_charts.proportions(),
        "figures": campaign_charts.figures(),
    }
    return {name: chart.to_dict(validate=False) for name, chart in charts.items()}


def _timeline() -> _Layers:
    """A lane per machine on a true time axis; a line per message from sender to receiver."""
    first, *others = _lanes(_of, _SINCE_START)
    layers = (first.add_params(_WINDOW), *others)
    return _sized(alt.layer(*layers), "A lane for each machine, a line for each message")


def _ways() -> _Layers:
    """Several timelines, one below another on the same time axis: one for each `way`."""
    rows = _lanes(lambda name: alt.Chart().transform_filter(alt.datum.layer == name), "seconds")
    title = alt.Header(title=None, labelOrient="top", labelAnchor="start", labelFontWeight="bold")
    way = alt.Row("way:N", sort=alt.EncodingSortField("order", op="min"), header=title)
    params = [alt.param(name=name, value=value) for name, value in _VALUES.items()]
    each = alt.layer(*rows).properties(width=820, height=150)
    return each.facet(row=way, data=alt.NamedData("ways")).add_params(*params)


def _losses() -> _Layers:
    """Messages lost against the parameter that changed between the runs, a mark per run.

    A line through the medians joins the runs of a series; a run may have a note.
    """
    values = alt.ExprRef("values")
    x = alt.X(
        "changed:Q",
        axis=alt.Axis(title=None, values=values, format="~g", grid=False),
        scale=alt.Scale(type="log", nice=False, padding=_NOTE_ROOM),
    )
    y = alt.Y("lost:Q", title="messages lost", axis=alt.Axis(tickMinStep=1, format="d"))
    color = alt.Color("series:N", sort=None, legend=None)
    shape = alt.Shape("series:N", sort=None, legend=None)
    runs = _of("losses").encode(x=x, y=y, tooltip=_TOOLTIP)
    middle = runs.mark_line(style="median").encode(y=alt.Y("median(lost):Q"), color=color)
    marks = runs.mark_point(style="run").encode(color=color, shape=shape)
    layers = (middle, marks, runs.mark_text(style="run-note").encode(text="note:N"))
    chart = alt.layer(*layers).add_params(alt.param(name="values", value=[]))
    return _sized(chart, "How many messages were lost")


def _lanes(of: Callable[[str], alt.Chart], axis: str) -> list[alt.Chart]:
    """The layers of a timeline; `of` returns a named data set, `axis` is the time axis's title."""

    def seconds(field: str) -> alt.X:
        low, high = alt.ExprRef("from_s"), alt.ExprRef("to_s")
        scale = alt.Scale(domainMin=low, domainMax=high, nice=False, zero=False)
        return alt.X(f"{field}:Q", title=axis, scale=scale)

    lane, to_lane = _lane("lane"), _lane("to_lane")
    lost, late = alt.datum.fate == "lost", alt.datum.fate == "late"
    lives, links, faults, notes = map(of, ("lives", "connections", "faults", "notes"))
    bars = of("bars").encode(
        x=seconds("start"),
        x2="end:Q",
        y=lane,
        y2="top:Q",
        tooltip=_TOOLTIP,
        description="tooltip:N",
    )
    sends = bars.mark_rect(style="sends").transform_filter(alt.datum.verb == "sent")
    receipts = bars.mark_rect(style="receipts").transform_filter(alt.datum.verb == "received")
    span = {"x": seconds("start"), "x2": "end:Q", "y": lane, "tooltip": _TOOLTIP}
    flying = of("messages").encode(x=seconds("sent"), x2="got:Q", y=lane, y2="to_lane:Q")
    sent = of("messages").encode(x=seconds("sent"), y=lane)
    here = of("messages").transform_filter("isValid(datum.arrived)")
    got = here.encode(x=seconds("arrived"), y=to_lane, color=_machine())
    nowhere = of("messages").encode(x=seconds("got"), y=to_lane).transform_filter(lost)
    fault = faults.encode(x=seconds("start"), tooltip=_TOOLTIP)
    noted = notes.encode(x=seconds("t"), y=lane)
    common = flying.mark_rule(style="message").transform_filter(~(lost | late))
    return [
        lives.mark_rule(style="life").encode(**span),
        faults.mark_rule(style="fault-span").encode(**span),
        links.mark_rule(style="connection").encode(**span, color=_machine()),
        of("moments").mark_tick(style="moment").encode(x=seconds("t"), y=lane, tooltip=_TOOLTIP),
        fault.mark_rule(style="fault"),
        fault.mark_text(style="fault-label", **_ROOMIER_SIDE).encode(
            y=alt.value(9), text="label:N"
        ),
        flying.mark_rule(style="chosen").transform_filter("datum.number === chosen"),
        common.encode(color=_machine()),
        flying.mark_rule(style="late").transform_filter(late).encode(color=_machine()),
        flying.mark_rule(style="lost").transform_filter(lost),
        sent.mark_point(style="sent"),
        sent.mark_text(style="number").encode(text="label:N"),
        got.mark_point(style="received").transform_filter(~late),
        got.mark_point(style="received-late").transform_filter(late),
        nowhere.mark_point(style="lost-end"),
        sends,
        receipts.encode(color=_machine()),
        noted.mark_text(style="note").encode(text="label:N"),
        flying.mark_rule(style="touch").encode(tooltip=_TOOLTIP, description="tooltip:N"),
    ]


def _strip() -> _Layers:
    """Message number by machine: which machine got which message."""
    cells = _of("cells").encode(
        x=_number("number"),
        x2="until:Q",
        y=_name(alt.Scale(domain=alt.ExprRef("rows"))),
        opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.1, 1]), legend=None),
        tooltip=_TOOLTIP,
        description="tooltip:N",
    )
    lost = alt.datum.lost
    came = cells.mark_rect(style="cell", strokeWidth=alt.ExprRef("edge")).encode(color=_machine())
    nowhere = cells.mark_rect(style="cell-lost", strokeWidth=alt.ExprRef("edge"))
    layers = (came.transform_filter(~lost), nowhere.transform_filter(lost))
    strip = alt.layer(*layers).add_params(
        alt.param(name="rows", value=[]), alt.param(name="edge", value=1)
    )
    return _sized(strip, "Which machine got which message")


def _shares() -> _Layers:
    """How many messages each machine got."""
    axis = alt.Axis(tickMinStep=1, format="d")
    bars = _of("shares").encode(
        x=alt.X("number:Q", title="messages", axis=axis),
        y=_name(alt.Scale()),
        tooltip=_TOOLTIP,
        description="tooltip:N",
    )
    layers = (
        bars.mark_bar(style="share").encode(color=_machine()),
        bars.mark_text(style="share-label").encode(text="label:N"),
    )
    return _sized(alt.layer(*layers), "How many messages each machine got")


def _latency() -> _Layers:
    """Latency from the send's return to the receipt: one by one, or in bands if there are many."""
    axis = alt.Axis(values=_TICKS_MS, labelExpr="format(datum.value, ',')")
    scale = alt.Scale(type="symlog", constant=0.5)
    points = _of("latencies").encode(
        x=_number("number"),
        y=alt.Y("ms:Q", title="milliseconds", scale=scale, axis=axis),
        color=_machine(_LEGEND),
        tooltip=_TOOLTIP,
        description="tooltip:N",
    )
    band = "isValid(datum.most)"
    layers = (
        points.mark_point(style="latency").transform_filter(f"!{band}").encode(shape=_shape()),
        points.mark_rule(style="band").transform_filter(band).encode(y2="most:Q"),
    )
    return _sized(alt.layer(*layers), "How long each message took")


def _own_values() -> _Layers:
    """A quantity of the programs' own over time: one by one, or in bands if there are many."""
    points = _of("values").encode(
        x=alt.X("t:Q", title=_SINCE_START, scale=alt.Scale(nice=False, zero=False)),
        y=_value("value:Q"),
        color=_machine(_SHOWN),
        tooltip=_TOOLTIP,
        description="tooltip:N",
    )
    band = "isValid(datum.most)"
    layers = (
        points.mark_point(style="latency")
        .transform_filter(f"!{band}")
        .encode(shape=_shape(_SHOWN)),
        points.mark_rule(style="band").transform_filter(band).encode(y2="most:Q"),
        points.mark_point(style="latency")
        .transform_filter(band)
        .encode(y=_value("middle:Q"), shape=_shape(_SHOWN)),
    )
    return _with_machines(alt.layer(*layers), "over time")


def _quantiles() -> _Layers:
    """How a quantity is distributed: which percentage of the values is not larger."""
    axis = alt.Axis(title="percent of the values are not larger", grid=False)
    base = _of("quantiles").encode(
        x=alt.X("percent:Q", axis=axis, scale=alt.Scale(domain=[0, 100])),
        y=_value("value:Q"),
        color=_machine(_SHOWN),
    )
    marked = base.mark_point(style="latency").transform_filter("datum.marked")
    described = {"tooltip": _TOOLTIP, "description": "tooltip:N"}
    layers = (
        base.mark_line(style="median", interpolate="step-before"),
        marked.encode(shape=_shape(_SHOWN), **described),
        base.mark_point(style="near", size=120).encode(**described),
    )
    return _with_machines(alt.layer(*layers), "as a distribution")


def _value(field: str) -> alt.Y:
    return alt.Y(field, axis=alt.Axis(format=".4~g", labelLimit=80, titleLimit=200))


def _with_machines(chart: _Layers, description: str) -> _Layers:
    return _sized(chart.add_params(alt.param(name="shown", value=[])), description)


def _of(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))


def _sized(chart: _Layers, description: str) -> _Layers:
    params = [alt.param(name=name, value=value) for name, value in _VALUES.items()]
    return chart.add_params(*params).properties(
        width="container",
        autosize=alt.AutoSizeParams(type="fit-x", contains="padding"),
        description=description,
    )


def _lane(field: str) -> alt.Y:
    """A machine's lane as a number, so that a line can also end between two lanes."""
    low, high = alt.ExprRef("count - 0.5"), alt.ExprRef("-0.85")
    axis = alt.Axis(
        title=None,
        values=alt.ExprRef("sequence(count)"),
        labelExpr="lanes[datum.value]",
        grid=False,
        ticks=False,
        domain=False,
        labelFontSize=13,
        labelPadding=10,
        labelLimit=150,
    )
    scale = alt.Scale(domainMin=low, domainMax=high, nice=False, zero=False)
    return alt.Y(f"{field}:Q", axis=axis, scale=scale)


def _name(scale: alt.Scale) -> alt.Y:
    axis = alt.Axis(ticks=False, domain=False, labelLimit=150, labelPadding=8, labelFontSize=13)
    return alt.Y("machine:N", sort=None, title=None, scale=scale, axis=axis)


def _number(field: str) -> alt.X:
    axis = alt.Axis(grid=False, tickMinStep=1, format="d")
    scale = alt.Scale(nice=False, zero=False)
    return alt.X(f"{field}:Q", title="message", scale=scale, axis=axis)


def _machine(legend: alt.Legend | None = None) -> alt.Color:
    scale = alt.Scale(domain=_RECEIVERS)
    return alt.Color("machine:N", scale=scale, legend=legend)


def _shape(legend: alt.Legend = _LEGEND) -> alt.Shape:
    """A machine's shape, where otherwise only colour would distinguish machines."""
    scale = alt.Scale(domain=_RECEIVERS)
    return alt.Shape("machine:N", scale=scale, legend=legend)
