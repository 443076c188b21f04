"""The charts of many runs, described with Altair; as in charts.py, data is filled in later."""

import altair as alt

Layers = alt.LayerChart | alt.FacetChart

_CELLS = alt.ExprRef("cells")  # the combinations, in their order


def proportions() -> Layers:
    """How often each claim held: a point and its interval for each combination."""

    def share(field: str) -> alt.X:
        title = "proportion of the runs in which it was observed"
        scale = alt.Scale(domain=[0, 1])
        return alt.X(f"{field}:Q", title=title, axis=alt.Axis(format="%"), scale=scale)

    base = alt.Chart().encode(y=_cell())
    layers = (
        alt.Chart().mark_rule(style="threshold").encode(x=share("need")),
        base.mark_rule(style="interval").encode(x=share("low"), x2="high:Q"),
        base.mark_point(style="share-point").encode(x=share("share")),
        base.mark_text(style="held").encode(x=alt.value("width"), text="label:N"),
    )
    return _faceted(layers, "claim", "claims")


def figures() -> Layers:
    """The figures of runs: a circle whose area is the number of runs, a diamond at the median."""
    base = alt.Chart().encode(y=_cell())
    value = alt.X("value:Q", title=None, scale=alt.Scale(zero=True))
    size = alt.Size("count():Q", legend=None, scale=alt.Scale(rangeMin=12, rangeMax=320))
    layers = (
        base.mark_point(style="runs").encode(x=value, size=size),
        base.mark_point(style="run-median").encode(x=alt.X("median(value):Q")),
    )
    chart: Layers = _faceted(layers, "figure", "figures").resolve_scale(x="independent")
    return chart


def _cell() -> alt.Y:
    axis = alt.Axis(ticks=False, domain=False, labelLimit=220, labelPadding=8, grid=False)
    return alt.Y("cell:N", title=None, scale=alt.Scale(domain=_CELLS), axis=axis)


def _faceted(layers: tuple[alt.Chart, ...], field: str, dataset: str) -> Layers:
    header = alt.Header(title=None, labelOrient="top", labelAnchor="start", labelFontWeight="bold")
    row = alt.Row(f"{field}:N", sort=alt.EncodingSortField("order", op="min"), header=header)
    chart = alt.layer(*layers).facet(row=row, data=alt.NamedData(dataset), spacing=14)
    described: Layers = chart.add_params(alt.param(name="cells", value=[]))
    return described
