"""What became of the messages of runs, as a table: one row for each variant of an experiment."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.analysis.history import Run

_LATE_S = 0.05  # beyond an interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCounts:
    """Numbers of messages in one run; `noticed_s` is None if the sender noticed no fault."""

    sent: int
    received: int
    late: int
    never: int
    twice: int
    noticed_s: float | None
    had_fault: bool


def outcome(run: Run, interval: float) -> MessageCounts:
    """Count what became of a run's messages; late means later than `interval` seconds."""
    arrived = _arrived(run)
    late = [n for n, t in arrived.items() if t - run.dealt.get(n, t) > interval + _LATE_S]
    return MessageCounts(
        sent=len(run.dealt),
        received=len(arrived),
        late=len(late),
        never=len(set(run.dealt) - set(arrived)),
        twice=sum(len(takers) > 1 for takers in run.takers.values()),
        noticed_s=_noticed(run),
        had_fault=run.fault is not None,
    )


def table(outcomes: Mapping[str, Sequence[MessageCounts]]) -> str:
    """Return the outcomes of each variant's runs as a Markdown table: medians, and ranges."""
    head = ("variant", "runs", "sent", "received", "late", "never", "twice", "noticed after")
    rows = [head, tuple("---" for _ in head)]
    for name, found in outcomes.items():
        counts = [
            _range([getattr(one, column) for one in found])
            for column in ("sent", "received", "late", "never", "twice")
        ]
        rows.append((name, str(len(found)), *counts, _times(found)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _arrived(run: Run) -> dict[int, float]:
    """When each message that was printed came: as its receiver traced it, else as it was captured.

    A busy harness may capture a line late, so the trace's time counts.
    """
    arrived: dict[int, float] = {}
    for message in run.received:
        arrived.setdefault(message.number, message.t)
    for message in run.taken:
        if message.number in arrived:
            t = message.t - run.offsets.get(message.machine, 0.0)
            arrived[message.number] = min(t, arrived[message.number])
    return arrived


def _noticed(run: Run) -> float | None:
    if run.fault is None:
        return None
    since = run.fault.t - float(run.fault.details["took_s"])
    ends = [e.t for e in run.events("disconnected", by=run.senders) if e.t >= since]
    return max(0.0, ends[0] - run.fault.t) if ends else None


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{statistics.median_low(numbers)} ({low} to {high})"


def _times(outcomes: Sequence[MessageCounts]) -> str:
    known = [one.noticed_s for one in outcomes if one.noticed_s is not None]
    if not known:
        return "never" if any(one.had_fault for one in outcomes) else "-"
    text = f"{statistics.median(known):.2f} s"
    return text if len(known) == len(outcomes) else f"{text} (in {len(known)} of {len(outcomes)})"
