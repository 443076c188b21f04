"""The data behind a run's charts: its timeline as columns and rows of plain values.

Every message is counted. If there are too many to draw, lost, late and duplicate ones are drawn
first, and of the others one in 2, 4, 8 ...
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, TypeVar

from lab.analysis.timeline import FATES, Delivery, Timeline
from lab.core.text import duration

MOST_KEPT = 100_000  # messages that a page holds one by one
_MOST_CELLS = 2_000  # messages that the strip and the latencies show one by one
_BINS = 400
_NOBODY = "nobody"

Rows = list[dict[str, Any]]
_T = TypeVar("_T")


def kept(deliveries: Sequence[Delivery], most: int) -> tuple[list[int], int]:
    """Return the indices of the messages to draw, and the stride: one in so many is drawn."""
    stride = 1
    while len(deliveries) // stride > most:
        stride *= 2
    odd = [i for i, p in enumerate(deliveries) if p.fate != "arrived"][: most // 4]
    if stride == 1:
        return list(range(len(deliveries))), 1
    return sorted({i for i in range(len(deliveries)) if _spread(i) < 1 / stride} | {*odd}), stride


def _spread(i: int) -> float:
    """Return a number in [0, 1), evenly spread and independent of the machines' turns.

    A plain "every 8th message" could always pick the same machine. This is Knuth's multiplicative
    hashing.
    """
    return i * 2654435761 % 2**32 / 2**32


def receivers(found: Timeline) -> list[str]:
    """Return the machines that got messages or were connected, in the order of their colours."""
    got = {p.to for p in found.deliveries}
    connected = {s.machine for s in found.spans if s.kind != "life"}
    there = got | (connected - {p.by for p in found.deliveries})
    return [name for name in found.machines if name in there]


def columns(deliveries: Sequence[Delivery], machines: Sequence[str]) -> dict[str, list[Any]]:
    """Return messages as columns: an eighth of the size of one object for each message."""
    lane = {name: k for k, name in enumerate(machines)}
    fates = {name: k for k, name in enumerate(FATES)}
    return {
        "number": [p.number for p in deliveries],
        "sent": [_rounded(p.sent) for p in deliveries],
        "got": [_rounded(p.got) for p in deliveries],
        "by": [lane.get(p.by) for p in deliveries],
        "to": [lane.get(p.to) for p in deliveries],
        "fate": [fates[p.fate] for p in deliveries],
    }


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
    deliveries = sorted((p for p in found.deliveries if p.sent is not None), key=lambda p: p.number)
    one_by_one = len(deliveries) <= _MOST_CELLS
    rows: Rows = []
    for part in ([p] for p in deliveries) if one_by_one else _parts(deliveries):
        first, last = part[0].number, part[-1].number
        for name, n in Counter(p.to for p in part).items():
            words = f"messages {first:,} to {last:,}: {n:,} of {len(part):,} to {name or _NOBODY}"
            cell = {"number": first - 0.5, "until": last + 0.5, "machine": name or _NOBODY}
            cell |= {"share": n / len(part), "lost": not name}
            rows.append(cell | {"tooltip": in_words(part[0]) if one_by_one else words})
    return rows


def edge(found: Timeline) -> int:
    """Return the width in pixels of the gaps between the strip's cells: none if there are many."""
    return 1 if len(found.deliveries) <= _MOST_CELLS // 4 else 0


def rows_of_strip(found: Timeline) -> list[str]:
    """Return the strip's rows: the receivers, and `nobody` if a message arrived nowhere."""
    lost = any(p.sent is not None and not p.to for p in found.deliveries)
    return receivers(found) + ([_NOBODY] if lost else [])


def shares(found: Timeline) -> Rows:
    """Return how many messages each receiver got, duplicates included."""
    got = Counter(p.to for p in found.deliveries if p.to)
    total = max(1, sum(got.values()))
    return [
        {"machine": name, "number": got[name], "label": f"{got[name]:,} ({got[name] / total:.1%})",
         "tooltip": f"{name} got {got[name]:,} messages, {got[name] / total:.1%}"}
        for name in (receivers(found) if found.deliveries else ())
    ]  # fmt: skip


def latencies(found: Timeline) -> Rows:
    """Return latencies in ms: one by one, or as ranges if there are too many."""
    timed = [(p, 1000 * p.latency_s) for p in found.deliveries if p.latency_s is not None]
    timed.sort(key=lambda pair: pair[0].number)
    if len(timed) <= _MOST_CELLS:
        return [
            {"number": p.number, "ms": ms, "machine": p.to, "tooltip": in_words(p)}
            for p, ms in timed
        ]
    rows: Rows = []
    for part in _parts(timed):
        first = part[0][0].number
        for name in sorted({p.to for p, _ in part}):
            ms = sorted(ms for p, ms in part if p.to == name)
            words = f"{ms[0]:.3g} to {ms[-1]:.3g} ms, median {median(ms):.3g} ms"
            row = {"number": first, "ms": ms[0], "most": ms[-1], "machine": name}
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
    times = [t for p in found.deliveries for t in (p.sent, p.got) if t is not None]
    if not times:
        return 0.0, found.end
    margin = max(0.03 * (max(times) - min(times)), 1e-4)
    return min(times) - margin, max(times) + margin


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


def _parts(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    size = -(-len(things) // _BINS)
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _rounded(t: float | None) -> float | None:
    return None if t is None else round(t, 5)


def _period(start: float, end: float) -> str:
    return f"{start:.3f} s to {end:.3f} s"
