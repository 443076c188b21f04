"""One sentence about a run: who sent how many messages to whom, as observed."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pushpull.analysis.cut import disturbed_reason
from pushpull.analysis.deliveries import Deliveries
from pushpull.analysis.timeline import Timeline
from pushpull.core.text import duration
from pushpull.core.wording import joined
from pushpull.report import chart_data
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import count_of

_NO_PAUSE_S = 0.001  # messages sent closer together than this count as sent without a pause


def setup(stored: StoredRun, found: Timeline) -> str:
    """Return a sentence that says what was sent from where to where, and what arrived."""
    if not found.deliveries:
        printed = count_of(stored.records, "stdout")
        if not found.machines:
            return "Nothing was started."
        lines = "1 line" if printed == 1 else f"{printed:,} lines"
        return f"{joined(found.machines)} printed {lines}, none of them about a message."
    to = joined(chart_data.receivers(found))
    deliveries = found.deliveries
    arrived = int(deliveries.arrived.sum())
    senders = deliveries.senders()
    if not senders:
        got = chart_data.received(found)
        to = joined([name for name in found.machines if got[name]])
        return f"{to} printed {_messages(arrived)}; no program reported sending them."
    hops = deliveries.of_hops()
    if len(hops) > 1:
        return _pipeline(stored, found, hops)
    target = f" to {to}" if to and not _is_round_trip(found) else ""
    sent = f"{joined(senders)} sent {_what(stored, found)}{target}{_pace(stored, found)}."
    return f"{sent} {_arrived(found)}"


def _pipeline(stored: StoredRun, found: Timeline, hops: Sequence[Deliveries]) -> str:
    """Return what the source of a pipeline sent, who handed it on, and what reached its end."""
    first = replace(found, deliveries=hops[0])
    if senders := joined(hops[0].senders()):
        what = f"{_what(stored, first)} to {_receivers(hops[0])}"
        text = f"{senders} sent {what}{_pace(stored, first)}"
    else:
        text = f"No program reported sending what {_receivers(hops[0])} received"
    came_back = _got(hops[-1]) <= set(hops[0].senders()) and bool(hops[-1].arrived.any())
    for hop in hops[1:]:
        back = "back" if came_back and hop is hops[-1] else "on"
        text += f"; {joined(hop.senders())} sent {int(hop.departed.sum()):,} {back}"
        text += f" to {_receivers(hop)}" if hop.arrived.any() else ""
    arrived = len(np.unique(hops[-1].numbers[hops[-1].arrived]))
    words = f"{arrived:,}" if arrived else "None"
    verb = "came back" if came_back else "reached the end"
    kept = _not_handed_on(hops)
    stayed = f" {kept:,} {'was' if kept == 1 else 'were'} not handed on," if kept else ""
    return f"{text}. {words} {verb},{stayed} {_lost(found)}."


def _not_handed_on(hops: Sequence[Deliveries]) -> int:
    """Return how many messages arrived on a hop and were not sent on the next one."""
    return sum(
        int((~np.isin(np.unique(hop.numbers[hop.arrived]), after.numbers[after.departed])).sum())
        for hop, after in itertools.pairwise(hops)
    )


def _receivers(deliveries: Deliveries) -> str:
    return joined([name for name in deliveries.machines if name in _got(deliveries)])


def _got(deliveries: Deliveries) -> set[str]:
    """Return the machines that got any."""
    return {deliveries.machines[k] for k in np.unique(deliveries.to[deliveries.arrived])}


def implementation(stored: StoredRun) -> str:
    """Return whose programs played, as `pyzmq`, or program by program; empty if none is known."""
    of = {
        str(event.details["program"]): str(event.details["implementation"])
        for event in stored.events
        if event.event == "start" and {"program", "implementation"} <= event.details.keys()
    }
    if len(set(of.values())) == 1:
        return next(iter(of.values()))
    return ", ".join(f"{program}: {name}" for program, name in of.items())


def _what(stored: StoredRun, found: Timeline) -> str:
    sent = int(found.deliveries.departed.sum())
    planned = stored.description.get("parameters", {}).get("count")
    if isinstance(planned, int) and sent < planned:
        return f"{sent:,} of the {_messages(planned)} planned"
    return _messages(sent)


def _pace(stored: StoredRun, found: Timeline) -> str:
    """Return the observed sending rate: a program may ignore the requested one.

    Nothing is said of a disturbed run, whose times mean nothing; nor where most messages come
    without a pause and the others after long ones: on a busy computer the lab may have read the
    lines of a program in bursts.
    """
    gaps = found.deliveries.gaps()
    if not len(gaps) or disturbed_reason(stored):
        return ""
    median, mean = float(np.median(gaps)), float(np.mean(gaps))
    if median >= _NO_PAUSE_S:
        return f", about one every {duration(median)}"
    return " without a pause" if mean < _NO_PAUSE_S else ""


def _is_round_trip(found: Timeline) -> bool:
    """Return whether every message was printed where it had been sent, as replies are."""
    deliveries = found.deliveries
    by, to = (column[deliveries.arrived] for column in (deliveries.by, deliveries.to))
    return len(to) > 0 and bool(np.all(by == to))


def _arrived(found: Timeline) -> str:
    arrived = len(np.unique(found.deliveries.numbers[found.deliveries.arrived]))
    late = found.deliveries.of_fate("late")
    if not arrived and not found.deliveries.of_fate("lost"):
        return "No program reported receiving any."
    verb = "came back" if _is_round_trip(found) else "arrived"
    words = f"{arrived:,} {verb}" if arrived else f"None {verb}"
    return f"{words}, {_lost(found)}" + (f", {late:,} arrived late." if late else ".")


def _lost(found: Timeline) -> str:
    lost, unknown = found.deliveries.of_fate("lost"), found.deliveries.of_fate("unknown")
    words = f"{f'{lost:,}' if lost else 'none'} {'were' if lost > 1 else 'was'} lost"
    return words + (f", the fate of {unknown:,} is not known" if unknown else "")


def _messages(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"
