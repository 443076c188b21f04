"""What a run's pictures and page draw: its flow as columns and rows of plain values.

Of very many messages a part is drawn, and all are counted: what was lost, came late or twice is
always in that part, of the others one in 2, 4, 8 ...
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
    """Return the places of the messages to draw, and that one in how many of the common ones is."""
    stride = 1
    while len(deliveries) // stride > most:
        stride *= 2
    odd = [i for i, p in enumerate(deliveries) if p.fate != "came"][: most // 4]
    if stride == 1:
        return list(range(len(deliveries))), 1
    return sorted({i for i in range(len(deliveries)) if _spread(i) < 1 / stride} | {*odd}), stride


def _spread(i: int) -> float:
    """Return a place between 0 and 1, evenly spread, and in step with no turn of the machines.

    Every 8th message could be always the same machine's; this is Knuth's multiplicative hashing.
    """
    return i * 2654435761 % 2**32 / 2**32


def receivers(flow: Timeline) -> list[str]:
    """Return the machines that got messages or were connected, in the order of their colours."""
    got = {p.to for p in flow.deliveries}
    connected = {s.machine for s in flow.spans if s.kind != "life"}
    there = got | (connected - {p.by for p in flow.deliveries})
    return [name for name in flow.machines if name in there]


def columns(deliveries: Sequence[Delivery], machines: Sequence[str]) -> dict[str, list[Any]]:
    """Return messages as columns: an eighth of the room that an object for each would take."""
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
    """Return messages as the timeline draws them. (The page's script has the same for a part.)"""
    lane = {name: k for k, name in enumerate(machines)}
    rows = []
    for p in deliveries:
        sent, got = (p.got if p.sent is None else p.sent), (p.sent if p.got is None else p.got)
        by = lane.get(p.by, lane.get(p.to, 0))
        rows.append({
            "number": p.number, "sent": sent, "got": got, "arrived": p.got, "lane": by,
            "to_lane": lane[p.to] if p.to else by + 0.45, "machine": p.to, "fate": p.fate,
            "label": str(p.number) if labels else "", "told": told(p),
        })  # fmt: skip
    return rows


def spans(flow: Timeline, kind: str) -> Rows:
    """Return the spans of a kind, each in its machine's lane; of one moment one has a label."""
    lane = {name: k for k, name in enumerate(flow.machines)}
    rows: Rows = []
    labelled: set[float] = set()
    for s in flow.spans:
        if s.kind == kind and s.machine in lane:
            label = "" if s.start in labelled else s.label
            labelled.add(s.start)
            rows.append({
                "start": s.start, "end": s.end, "lane": lane[s.machine], "machine": s.machine,
                "told": f"{s.machine}: {s.told}, {_period(s.start, s.end)}", "label": label,
            })  # fmt: skip
    return rows


def moments(flow: Timeline) -> Rows:
    """Return what happened at one time, each in its machine's lane."""
    lane = {name: k for k, name in enumerate(flow.machines)}
    return [
        {"t": m.t, "lane": lane[m.machine], "kind": m.kind, "told": f"{m.t:.3f} s: {m.told}"}
        for m in flow.moments if m.machine in lane
    ]  # fmt: skip


def cells(flow: Timeline) -> Rows:
    """Return who got which message: one by one, or of very many the shares of equal parts."""
    deliveries = sorted((p for p in flow.deliveries if p.sent is not None), key=lambda p: p.number)
    one_by_one = len(deliveries) <= _MOST_CELLS
    rows: Rows = []
    for part in ([p] for p in deliveries) if one_by_one else _parts(deliveries):
        first, last = part[0].number, part[-1].number
        for name, n in Counter(p.to for p in part).items():
            words = f"messages {first:,} to {last:,}: {n:,} of {len(part):,} to {name or _NOBODY}"
            cell = {"number": first - 0.5, "until": last + 0.5, "machine": name or _NOBODY}
            cell |= {"share": n / len(part), "lost": not name}
            rows.append(cell | {"told": told(part[0]) if one_by_one else words})
    return rows


def edge(flow: Timeline) -> int:
    """Return how wide the edge of the strip's cells is in pixels: those of many have none."""
    return 1 if len(flow.deliveries) <= _MOST_CELLS // 4 else 0


def rows_of_strip(flow: Timeline) -> list[str]:
    """Return the strip's rows: the receivers, and nobody if a message came nowhere."""
    lost = any(p.sent is not None and not p.to for p in flow.deliveries)
    return receivers(flow) + ([_NOBODY] if lost else [])


def shares(flow: Timeline) -> Rows:
    """Return how many messages each receiver got, a second arrival counted as well."""
    got = Counter(p.to for p in flow.deliveries if p.to)
    total = max(1, sum(got.values()))
    return [
        {"machine": name, "number": got[name], "label": f"{got[name]:,} ({got[name] / total:.1%})",
         "told": f"{name} got {got[name]:,} messages, {got[name] / total:.1%}"}
        for name in (receivers(flow) if flow.deliveries else ())
    ]  # fmt: skip


def latencies(flow: Timeline) -> Rows:
    """Return how long messages took in ms: one by one, or the range in equal parts of many."""
    took = [(p, 1000 * p.took) for p in flow.deliveries if p.took is not None]
    took.sort(key=lambda pair: pair[0].number)
    if len(took) <= _MOST_CELLS:
        return [{"number": p.number, "ms": ms, "machine": p.to, "told": told(p)} for p, ms in took]
    rows: Rows = []
    for part in _parts(took):
        first = part[0][0].number
        for name in sorted({p.to for p, _ in part}):
            ms = sorted(ms for p, ms in part if p.to == name)
            words = f"{ms[0]:.3g} to {ms[-1]:.3g} ms, median {median(ms):.3g} ms"
            row = {"number": first, "ms": ms[0], "most": ms[-1], "machine": name}
            rows.append(row | {"told": f"messages from {first:,} on, {name}: {words}"})
    return rows


def heights(flow: Timeline) -> dict[str, int]:
    """Return the height of each chart's ground in pixels."""
    lanes = len(flow.machines)
    return {
        "timeline": 34 + round(max(34, min(72, 900 / max(1, lanes))) * lanes),
        "strip": 26 * max(1, len(rows_of_strip(flow))),
        "shares": 28 * max(1, len(receivers(flow))),
        "latency": 170,
    }


def window(flow: Timeline) -> tuple[float, float]:
    """Return from when to when there were messages, with a margin; else the whole run."""
    times = [t for p in flow.deliveries for t in (p.sent, p.got) if t is not None]
    if not times:
        return 0.0, flow.end
    margin = max(0.03 * (max(times) - min(times)), 1e-4)
    return min(times) - margin, max(times) + margin


def told(p: Delivery) -> str:
    """Return a message's way in words."""
    head = f"message {p.number}"
    if p.got is None:
        return f"{head}, sent by {p.by} at {p.sent:.3f} s: {FATES[p.fate]}"
    if p.sent is None or p.took is None:
        return f"{head}, received by {p.to} at {p.got:.3f} s: {FATES[p.fate]}"
    only = "only " if p.fate == "late" else ""
    after = f"{only}{duration(p.took)} later" if p.took > 0 else "at once"
    return f"{head}: {p.by} sent it at {p.sent:.3f} s, {p.to} had it {after}"


def _parts(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    size = -(-len(things) // _BINS)
    for start in range(0, len(things), size):
        yield things[start : start + size]


def _rounded(t: float | None) -> float | None:
    return None if t is None else round(t, 5)


def _period(start: float, end: float) -> str:
    return f"{start:.3f} s to {end:.3f} s"
