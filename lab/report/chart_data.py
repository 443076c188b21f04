"""The data behind a run's charts: its timeline as columns and rows of plain values.

Every message is counted. If there are too many to draw, lost, late and duplicate ones are drawn
first, and of the others one in 2, 4, 8 ...
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.deliveries import FATES, NOBODY, Deliveries, Delivery
from pushpull.analysis.timeline import Timeline
from pushpull.analysis.vectors import Flags, Floats, Ints
from pushpull.core.text import duration
from pushpull.core.wording import counted

MOST_KEPT = 2_000_000  # messages that a page holds one by one, 15 bytes each
_MOST_CELLS = 2_000  # messages that the strip and the latencies show one by one
_BINS = 400
_NOBODY = "nobody"
_NEVER = -(2**31)

Rows = list[dict[str, Any]]


def kept(odd: Flags, most: int) -> tuple[Ints, int]:
    """Return the places of the messages to draw, and the stride: one in so many is drawn.

    Of messages that are `odd` a quarter of the `most` is drawn at any rate.
    """
    stride = 1
    while len(odd) // stride > most:
        stride *= 2
    if stride == 1:
        return np.arange(len(odd)), 1
    drawn = _spread(np.arange(len(odd))) < 1 / stride
    drawn[np.flatnonzero(odd)[: most // 4]] = True
    return np.flatnonzero(drawn), stride


def _spread(places: Ints) -> Floats:
    """Return numbers in [0, 1), evenly spread and independent of the machines' turns.

    A plain "every 8th message" could always pick the same machine. This is Knuth's multiplicative
    hashing.
    """
    return (places.astype(np.uint64) * 2654435761 % 2**32) / 2**32


def receivers(found: Timeline) -> list[str]:
    """Return the machines that got messages or were connected, in the order of their colours."""
    deliveries = found.deliveries
    got, sent = ({found.machines[k] for k in np.unique(ids) if k >= 0}
                 for ids in (deliveries.to, deliveries.by))  # fmt: skip
    connected = {s.machine for s in found.spans if s.kind != "life"}
    there = got | (connected - sent)
    return [name for name in found.machines if name in there]


def columns(deliveries: Deliveries) -> dict[str, Any]:
    """Return messages as columns of whole numbers: each one's type, and its bytes as base64.

    Times are in units of `unit` seconds, `never` for none; so is a machine that isn't there -1.
    """
    longest = max((float(np.nanmax(np.abs(times))) for times in (deliveries.sent, deliveries.got)
                   if not np.isnan(times).all()), default=0.0)  # fmt: skip
    unit = 1e-6
    while longest / unit >= 2**31 - 1:
        unit *= 10
    filled = {
        "number": _encoded(deliveries.numbers, "<f8"),  # JavaScript's own numbers
        "sent": _encoded(_in_units(deliveries.sent, unit), "<i4"),
        "got": _encoded(_in_units(deliveries.got, unit), "<i4"),
        "by": _encoded(deliveries.by, "<i2"),
        "to": _encoded(deliveries.to, "<i2"),
        "fate": _encoded(deliveries.fates, "|u1"),
    }
    return {"columns": filled, "unit": unit, "never": _NEVER}


def _in_units(times: Floats, unit: float) -> Floats:
    units = times / unit  # one more column of a million messages at a time, not three
    np.rint(units, out=units)
    units[np.isnan(times)] = _NEVER
    return units


def _encoded(values: Ints, kind: str) -> dict[str, str]:
    if kind == "<f8" and values.dtype != object and np.all(np.abs(values) < 2**31):
        kind = "<i4"
    return {"type": kind[1:], "bytes": base64.b64encode(values.astype(kind).tobytes()).decode()}


def messages(deliveries: Sequence[Delivery], machines: Sequence[str], *, labels: bool) -> Rows:
    """Return messages as the timeline draws them. (page.js does the same for a selection.)"""
    lane = {name: k for k, name in enumerate(machines)}
    rows = []
    for p in deliveries:
        sent, got = (p.got if p.sent is None else p.sent), (p.sent if p.got is None else p.got)
        by = lane.get(p.by, lane.get(p.to, 0))
        rows.append({
            "number": p.number, "sent": sent, "got": got, "arrived": p.got, "lane": by,
            "to_lane": lane[p.to] if p.to else by + 0.45, "machine": p.to, "fate": p.fate,
            "label": str(p.number) if labels else "", "tooltip": in_words(p),
        })  # fmt: skip
    return rows


def spans(found: Timeline, kind: str) -> Rows:
    """Return the spans of a kind, each in its machine's lane; one label for each start time."""
    lane = {name: k for k, name in enumerate(found.machines)}
    rows: Rows = []
    labelled: set[float] = set()
    for s in found.spans:
        if s.kind == kind and s.machine in lane:
            label = "" if s.start in labelled else s.label
            labelled.add(s.start)
            rows.append({
                "start": s.start, "end": s.end, "lane": lane[s.machine], "machine": s.machine,
                "tooltip": f"{s.machine}: {s.text}, {_period(s.start, s.end)}", "label": label,
            })  # fmt: skip
    return rows


def moments(found: Timeline) -> Rows:
    """Return the moments of a run, each in its machine's lane."""
    lane = {name: k for k, name in enumerate(found.machines)}
    return [
        {"t": m.t, "lane": lane[m.machine], "kind": m.kind, "tooltip": f"{m.t:.3f} s: {m.text}"}
        for m in found.moments if m.machine in lane
    ]  # fmt: skip


def cells(found: Timeline) -> Rows:
    """Return which machine got which message: one by one, or as shares if there are too many."""
    deliveries = found.deliveries
    if not deliveries.arrived.any() and not deliveries.of_fate("lost"):
        return []  # no program says who got what
    return [row for hop in deliveries.of_hops() for row in _cells(found, hop)]


def _cells(found: Timeline, deliveries: Deliveries) -> Rows:
    sent = _by_number(deliveries, deliveries.departed)
    one_by_one = len(found.deliveries) <= _MOST_CELLS
    names = [*found.machines, ""]
    rows: Rows = []
    for start, end in _parts(len(sent), 1 if one_by_one else -(-len(sent) // _BINS)):
        first, last = int(sent.numbers[start]), int(sent.numbers[end - 1])
        machines, counts = np.unique(sent.to[start:end], return_counts=True)
        for name, n in zip([names[k] for k in machines], counts.tolist(), strict=True):
            words = f"messages {first:,} to {last:,}: {n:,} of {end - start:,} to {name or _NOBODY}"
            cell = {"number": first - 0.5, "until": last + 0.5, "machine": name or _NOBODY}
            cell |= {"share": n / (end - start), "lost": not name}
            rows.append(cell | {"tooltip": in_words(sent[start]) if one_by_one else words})
    return rows


def edge(found: Timeline) -> int:
    """Return the width in pixels of the gaps between the strip's cells: none if there are many."""
    return 1 if len(found.deliveries) <= _MOST_CELLS // 4 else 0


def rows_of_strip(found: Timeline) -> list[str]:
    """Return the strip's rows: the receivers, and `nobody` if a message arrived nowhere."""
    lost = (found.deliveries.departed & (found.deliveries.to == NOBODY)).any()
    return receivers(found) + ([_NOBODY] if lost else [])


def shares(found: Timeline) -> Rows:
    """Return how many messages each receiver got, and which part of all that arrived on its hop."""
    got, total = received(found), dict.fromkeys(found.machines, 0)
    for hop in found.deliveries.of_hops():
        of_hop = received(replace(found, deliveries=hop))
        for name in (name for name, number in of_hop.items() if number):
            total[name] += sum(of_hop.values())
    parts = {name: got[name] / max(1, total[name]) for name in found.machines}
    return [
        {"machine": name, "number": got[name], "label": f"{got[name]:,} ({parts[name]:.1%})",
         "tooltip": f"{name} got {counted(got[name], 'message')}, {parts[name]:.1%}"}
        for name in (receivers(found) if found.deliveries else ())
    ]  # fmt: skip


def received(found: Timeline) -> dict[str, int]:
    """Return how many messages each machine got, duplicates included."""
    to = found.deliveries.to
    counted = np.bincount(to[to != NOBODY], minlength=len(found.machines))
    return dict(zip(found.machines, counted.tolist(), strict=True))


def latencies(found: Timeline) -> Rows:
    """Return latencies in ms: one by one, or as ranges if there are too many."""
    deliveries = found.deliveries
    timed = _by_number(deliveries, deliveries.departed & deliveries.arrived)
    all_ms = 1000 * (timed.got - timed.sent)
    if len(timed) <= _MOST_CELLS:
        return [
            {"number": p.number, "ms": ms, "machine": p.to, "tooltip": in_words(p)}
            for p, ms in zip(timed, all_ms.tolist(), strict=True)
        ]
    rows: Rows = []
    for start, end in _parts(len(timed), -(-len(timed) // _BINS)):
        first = int(timed.numbers[start])
        for name, k in sorted((found.machines[k], k) for k in np.unique(timed.to[start:end])):
            ms = all_ms[start:end][timed.to[start:end] == k]
            low, high = float(ms.min()), float(ms.max())
            words = f"{low:.3g} to {high:.3g} ms, median {float(np.median(ms)):.3g} ms"
            row = {"number": first, "ms": low, "most": high, "machine": name}
            rows.append(row | {"tooltip": f"messages from {first:,} on, {name}: {words}"})
    return rows


def heights(found: Timeline) -> dict[str, int]:
    """Return the height of each chart's plotting area in pixels."""
    lanes = len(found.machines)
    return {
        "timeline": 34 + round(max(34, min(72, 900 / max(1, lanes))) * lanes),
        "strip": 26 * max(1, len(rows_of_strip(found))),
        "shares": 28 * max(1, len(receivers(found))),
        "latency": 170,
    }


def window(found: Timeline) -> tuple[float, float]:
    """Return the seconds in which there were messages, with a margin; if none, the whole run."""
    sent, got = found.deliveries.sent, found.deliveries.got
    if not len(sent):
        return 0.0, found.end
    start, end = float(np.fmin(sent, got).min()), float(np.fmax(sent, got).max())
    margin = max(0.03 * (end - start), 1e-4)
    return start - margin, end + margin


def in_words(p: Delivery) -> str:
    """Describe one message: when it was sent, and what became of it."""
    head = f"message {p.number}"
    if p.got is None:
        return f"{head}, sent by {p.by} at {p.sent:.3f} s: {FATES[p.fate]}"
    if p.sent is None or p.latency_s is None:
        return f"{head}, received by {p.to} at {p.got:.3f} s: {FATES[p.fate]}"
    only = "only " if p.fate == "late" else ""
    after = f"{only}{duration(p.latency_s)} later" if p.latency_s > 0 else "at once"
    return f"{head}: {p.by} sent it at {p.sent:.3f} s, {p.to} received it {after}"


def _by_number(deliveries: Deliveries, flags: Flags) -> Deliveries:
    """Return those with a flag, in the order of their numbers."""
    places = vectors.places_of(flags)
    numbers = deliveries.numbers[places]
    if not vectors.is_rising(numbers):
        places = places[vectors.order_of(numbers)]
    return deliveries.at(places)


def _parts(count: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, size or 1):
        yield start, min(start + size, count)


def _period(start: float, end: float) -> str:
    return f"{start:.3f} s to {end:.3f} s"
