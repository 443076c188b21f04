"""What was sent from where to where in a run, in a sentence made of what was observed."""

from collections import defaultdict
from itertools import pairwise
from statistics import median

from lab.analysis.history import joined
from lab.analysis.timeline import Timeline
from lab.core.text import duration
from lab.report import chart_data
from lab.runs.store import StoredRun
from lab.runs.stored_records import count_of

_NO_PAUSE_S = 0.001  # what is sent closer together than this was sent without a pause


def setup(stored: StoredRun, found: Timeline) -> str:
    """Return in a sentence what was sent from where to where, and what came."""
    if not found.deliveries:
        printed = count_of(stored.records, "stdout")
        if not found.machines:
            return "Nothing was started."
        lines = "1 line" if printed == 1 else f"{printed:,} lines"
        return f"{joined(found.machines)} printed {lines}, none of which speaks of a message."
    to = joined(chart_data.receivers(found))
    came = sum(p.got is not None for p in found.deliveries)
    senders = list(dict.fromkeys(p.by for p in found.deliveries if p.by))
    if not senders:
        takers = {p.to for p in found.deliveries}
        to = joined([name for name in found.machines if name in takers])
        return f"{to} printed {_messages(came)}; who sent them, nothing tells."
    whither = f" to {to}" if to and not _is_round_trip(found) else ""
    sent = f"{joined(senders)} sent {_what(stored, found)}{whither}{_pace(found)}."
    return f"{sent} {_came(found)}"


def _what(stored: StoredRun, found: Timeline) -> str:
    sent = sum(p.sent is not None for p in found.deliveries)
    planned = stored.description.get("parameters", {}).get("count")
    if isinstance(planned, int) and sent < planned:
        return f"{sent:,} of the {_messages(planned)} that were planned"
    return _messages(sent)


def _pace(found: Timeline) -> str:
    """Return how often each sender sent, as it was: a program may not care what was wished."""
    times: defaultdict[str, list[float]] = defaultdict(list)
    for p in found.deliveries:
        if p.sent is not None:
            times[p.by].append(p.sent)
    gaps = [b - a for sent in times.values() for a, b in pairwise(sorted(sent))]
    if not gaps:
        return ""
    gap = median(gaps)
    return f", about one every {duration(gap)}" if gap >= _NO_PAUSE_S else " without a pause"


def _is_round_trip(found: Timeline) -> bool:
    """Tell whether all that came was printed where it had been sent, as replies are."""
    ways = {(p.by, p.to) for p in found.deliveries if p.to}
    return bool(ways) and all(by == to for by, to in ways)


def _came(found: Timeline) -> str:
    came = len({p.number for p in found.deliveries if p.got is not None})
    lost = sum(p.fate == "lost" for p in found.deliveries)
    late = sum(p.fate == "late" for p in found.deliveries)
    words = f"{came:,} came" if came else "None came"
    words += " back" if _is_round_trip(found) else ""
    words += f", {f'{lost:,}' if lost else 'none'} {'were' if lost > 1 else 'was'} lost"
    return words + (f", {late:,} came late." if late else ".")


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"
