"""What all pages share, kept in a cache: the plotting library's script and our charts.

Assembling Vega's script takes 2 s and importing Altair 1 s, longer than the rest of a page. Both
change only with their versions and with charts.py.
"""

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

_MADE_OF = [
    Path(__file__).with_name(f"{name}.py")
    for name in ("vega_bundle", "charts", "campaign_charts", "chart_theme")
]
_LIBRARIES = ("altair", "vl-convert-python")


@dataclass(frozen=True, slots=True)
class Kit:
    """`script` defines vegaEmbed; `charts` and `themes` are what lab/report/charts.py describes."""

    script: str
    charts: Mapping[str, dict[str, Any]]
    themes: Mapping[str, dict[str, Any]]


def is_kept() -> bool:
    """Return whether the cache has a kit."""
    return _file().exists()


@functools.cache
def kit() -> Kit:
    """Return the kit from the cache; if it isn't there, make it (about 4 s) and store it."""
    file = _file()
    with contextlib.suppress(Exception):  # missing or broken: make another
        return Kit(**json.loads(file.read_bytes()))
    made = _make()
    new = file.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):  # an unwritable home only costs time
        file.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json.dumps(asdict(made)), "utf-8")
        new.replace(file)
    return made


def filled(
    chart: Mapping[str, Any],
    height: int | None,
    values: Mapping[str, Any],
    datasets: Mapping[str, list[dict[str, Any]]],
) -> dict[str, Any]:
    """Fill a chart with its parameters' values, its data and, if given, its height."""
    params = [p | {"value": values[p["name"]]} if p["name"] in values else p
              for p in chart["params"]]  # fmt: skip
    size = {} if height is None else {"height": height}
    return {**chart, **size, "params": params, "datasets": dict(datasets)}


def _make() -> Kit:
    import vl_convert

    from pushpull.report import chart_theme, charts

    return Kit(
        script=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
        charts=charts.described(),
        themes={"light": chart_theme.theme("light"), "dark": chart_theme.theme("dark")},
    )


def _key() -> str:
    parts = [file.read_bytes() for file in _MADE_OF]
    parts += [f"{name} {version(name)}".encode() for name in _LIBRARIES]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@functools.cache
def _file() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "push-pull-lab" / f"charts-{_key()}.json"
