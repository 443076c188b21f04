"""What became of the messages of runs, as a table: one row for each variant of an experiment."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.analysis.history import Run
from lab.core.records import Event

_LATE_S = 0.05  # beyond an interval
FATES = ("late", "never", "twice")  # of messages: the columns that one needs for choosing


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCounts:
    """Numbers of messages in one run, and what became of the machine that the fault hit.

    `noticed_s` is None if the sender noticed no fault; `recovered_s`, from the machine's return to
    its next message, is None if it didn't return or got none.
    """

    sent: int
    received: int
    late: int
    never: int
    twice: int
    noticed_s: float | None
    had_fault: bool
    recovered_s: float | None = None
    came_back: bool = False


def outcome(run: Run, interval: float) -> MessageCounts:
    """Count what became of a run's messages; late means later than `interval` seconds."""
    arrived, back = _arrived(run), return_of(run)
    late = [n for n, t in arrived.items() if t - run.dealt.get(n, t) > interval + _LATE_S]
    return MessageCounts(
        sent=len(run.dealt),
        received=len(arrived),
        late=len(late),
        never=len(set(run.dealt) - set(arrived)),
        twice=sum(len(takers) > 1 for takers in run.takers.values()),
        noticed_s=_noticed(run),
        had_fault=run.fault is not None,
        recovered_s=_recovered(run, back),
        came_back=back is not None,
    )


def table(outcomes: Mapping[str, Sequence[MessageCounts]]) -> str:
    """Return the outcomes of each variant's runs as a Markdown table: medians, and ranges."""
    head = ("variant", "runs", "sent", "received", "late", "never", "twice", "noticed after")
    rows = [head, tuple("---" for _ in head)]
    for name, found in outcomes.items():
        counts = [counted(found, column) for column in ("sent", "received", *FATES)]
        rows.append((name, str(len(found)), *counts, noticed(found)))
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


def counted(outcomes: Sequence[MessageCounts], column: str) -> str:
    """Return the median of a count, and its range if there is one: `2 (0 to 9)`."""
    numbers = [getattr(one, column) for one in outcomes]
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{statistics.median_low(numbers)} ({low} to {high})"


def noticed(outcomes: Sequence[MessageCounts]) -> str:
    """Return in words how long after the fault the sender noticed it."""
    with_fault = [one.noticed_s for one in outcomes if one.had_fault]
    return _median(with_fault)


def recovered(outcomes: Sequence[MessageCounts]) -> str:
    """Return in words how long after its return the machine got a message."""
    return _median([one.recovered_s for one in outcomes if one.came_back])


def return_of(run: Run) -> Event | None:
    """Return the event when the machine that the fault hit was back; None if it didn't return.

    It is back when the fault is repaired, and its program, if it is started again, is ready.
    """
    fault = run.fault
    if fault is None:
        return None
    signs = [*run.events("repair", by=[fault.machine]), *run.events("ready", by=[fault.machine])]
    return max((e for e in signs if e.t > fault.t), key=lambda event: event.t, default=None)


def _recovered(run: Run, back: Event | None) -> float | None:
    if run.fault is None or back is None:
        return None
    times = (m.t for m in run.by(run.fault.machine) if m.t >= back.t)
    return min((t - back.t for t in times), default=None)


def _median(times: Sequence[float | None]) -> str:
    known = [t for t in times if t is not None]
    if not known:
        return "never" if times else "-"
    text = f"{statistics.median(known):.2f} s"
    return text if len(known) == len(times) else f"{text} (in {len(known)} of {len(times)})"
