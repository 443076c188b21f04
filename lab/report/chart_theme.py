"""The colours and line styles of all charts, for a light and a dark background.

Legible in grey and to the colour-blind (Okabe and Ito's colours): no difference shows in colour
alone. Red is kept for failures and injected faults.
"""

from typing import Any, Literal

_CATEGORY = {
    "light": ("#0072B2", "#D98E00", "#009E73", "#B5528C", "#3B9BD0"),
    "dark": ("#4DA8DA", "#F0B03C", "#35C79A", "#E293BF", "#8CCBF0"),
}
_INK = {"light": "#1B1F24", "dark": "#E8EAED"}
_SOFT = {"light": "#57606A", "dark": "#A8B0BA"}
_FAINT = {"light": "#DDE1E6", "dark": "#3A424C"}
_PAPER = {"light": "#FFFFFF", "dark": "#12161B"}
_RED = {"light": "#C43D00", "dark": "#FF7A59"}
_MARKER = {"light": "#FFC400", "dark": "#FFD23F"}


def theme(ground: Literal["light", "dark"]) -> dict[str, Any]:
    """Return the configuration of all charts for a light or a dark background."""
    soft, faint = _SOFT[ground], _FAINT[ground]
    return {
        "background": "transparent",
        "font": "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
        "view": {"stroke": None},
        "axis": {
            "labelColor": soft,
            "titleColor": soft,
            "gridColor": faint,
            "domainColor": faint,
            "tickColor": faint,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
        },
        "axisY": {"labelColor": _INK[ground]},
        "legend": {"labelColor": _INK[ground]},
        "range": {"category": list(_CATEGORY[ground])},
        "style": _spans(ground) | _messages(ground) | _counts(ground),
    }


def _spans(ground: str) -> dict[str, dict[str, Any]]:
    red = _RED[ground]
    label = {"color": red, "fontSize": 12, "fontWeight": "bold"}
    return {
        "life": {"color": _FAINT[ground], "strokeWidth": 16, "strokeCap": "butt"},
        "connection": {"strokeWidth": 4, "strokeOpacity": 0.55},
        "fault-span": {"color": red, "strokeWidth": 16, "strokeOpacity": 0.22},
        "fault": {"color": red, "strokeWidth": 1.5},
        "fault-label": label | {"limit": 420},
        "moment": {"color": _INK[ground], "thickness": 1.5, "size": 15, "orient": "vertical"},
    }


def _messages(ground: str) -> dict[str, dict[str, Any]]:
    ink, red = _INK[ground], _RED[ground]
    solid = {"filled": True, "opacity": 1}
    return {
        "message": {"strokeWidth": 1.6},
        "late": {"strokeWidth": 3},
        "lost": {"color": red, "strokeWidth": 2, "strokeDash": [5, 3]},
        "lost-end": {"color": red, "shape": "cross", "angle": 45, "size": 110, **solid},
        "sent": {"color": ink, "size": 30, "filled": False, "opacity": 1},
        "received": {"shape": "triangle-down", "size": 60, **solid},
        "received-late": {"shape": "diamond", "size": 150, **solid},
        "sends": {"color": ink, "opacity": 0.6},
        "receipts": {"opacity": 0.9},
        "number": {"color": ink, "dy": -13, "fontSize": 12},
        "note": {"color": ink, "align": "left", "dx": 6, "dy": 20, "fontSize": 13},
        "touch": {"color": ink, "strokeWidth": 12, "strokeOpacity": 0, "cursor": "pointer"},
        "chosen": {
            "color": _MARKER[ground],
            "strokeWidth": 11,
            "strokeOpacity": 0.75,
            "strokeCap": "round",
        },
    }


def _counts(ground: str) -> dict[str, dict[str, Any]]:
    ink, edge = _INK[ground], {"stroke": _PAPER[ground]}
    return {
        "cell": edge,
        "cell-lost": {"color": _RED[ground], **edge},
        "share": {"height": 18},
        "share-label": {"color": ink, "align": "left", "dx": 6, "fontSize": 12},
        "latency": {"filled": True, "size": 45, "opacity": 0.9},
        "band": {"strokeWidth": 2},
        "near": {"opacity": 0},
        "median": {"strokeWidth": 1.5, "strokeOpacity": 0.7},
        "run": {"filled": True, "size": 90, "opacity": 1},
        "run-note": {"color": ink, "dy": -16, "fontSize": 13},
        "interval": {"color": _CATEGORY[ground][0], "strokeWidth": 3, "strokeOpacity": 0.6},
        "share-point": {"color": _CATEGORY[ground][0], "filled": True, "size": 60, "opacity": 1},
        "threshold": {"color": _SOFT[ground], "strokeWidth": 1, "strokeDash": [3, 3]},
        "held": {"color": _SOFT[ground], "align": "left", "dx": 8, "fontSize": 11},
        "runs": {"color": _CATEGORY[ground][0], "filled": True, "opacity": 0.5},
        "run-median": {"color": ink, "filled": True, "shape": "diamond", "size": 40, "opacity": 1},
    }
