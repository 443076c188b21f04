"""What became of the messages of runs, as a table: one row for each variant of an experiment."""

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pushpull.analysis import vectors
from pushpull.analysis.by_number import Times
from pushpull.analysis.history import Run, first_in_a_row
from pushpull.analysis.quantities import figures, quantities
from pushpull.analysis.recovery import recovery, repair
from pushpull.analysis.schedule import intended, latest
from pushpull.core.text import measured

_LATE_S = 0.05  # beyond an interval
_COLUMNS = ("sent", "received", "late", "never", "twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCounts:
    """What became of the messages in one run, in numbers; a figure that it doesn't have is None.

    Attributes:
        sent, received, late, never, twice: numbers of messages.
        not_handed_on: how many programs in a pipeline received and did not send on, as a filter.
        first_row: how many from message 0 on went to the same machine, if there are several.
        noticed_s: how long after the fault the sender's library reported it.
        recovery_s, backlog_s: when the first message was through after the repair, and when
            nothing waited any more, see `recovery`.
        lateness_s: by how much the latest message came after the time at which it was to be sent,
            see `schedule`.
        had_fault, had_repair: whether these took place, the latter while messages were sent.
        quantities: the median and the 99th percentile of each quantity of the programs' own.
    """

    sent: int
    received: int
    late: int
    never: int
    twice: int
    first_row: int | None
    noticed_s: float | None
    recovery_s: float | None
    backlog_s: float | None
    had_fault: bool
    had_repair: bool = False
    lateness_s: float | None = None
    not_handed_on: int | None = None
    quantities: Mapping[str, float] = field(default_factory=dict)


def outcome(run: Run, interval: float) -> MessageCounts:
    """Count what became of a run's messages; late means later than `interval` seconds.

    In a pipeline they are sent by its source, and received at its end; one is lost if it was sent
    on a hop and not received there.
    """
    last = run.hops[-1]
    dealt, arrived = run.dealt, _arrived(last)
    took = arrived.times - dealt.at(arrived.index.unique, arrived.times)
    recovered, back = recovery(last, arrived), repair(run)
    return MessageCounts(
        sent=len(dealt),
        received=len(arrived),
        late=int((took > interval + _LATE_S).sum()),
        never=sum(map(_lost, run.hops)),
        twice=sum(len(hop.takers.twice) for hop in run.hops),
        first_row=(first_in_a_row(run) or None) if len(run.hops[0].receivers) > 1 else None,
        noticed_s=_noticed(run),
        recovery_s=recovered.first_s if recovered else None,
        backlog_s=recovered.backlog_s if recovered else None,
        had_fault=run.fault is not None,
        had_repair=back is not None and back.t < float(dealt.times.max(initial=back.t)),
        lateness_s=latest(arrived, intended(run, interval)),
        not_handed_on=_not_handed_on(run.hops) if len(run.hops) > 1 else None,
        quantities=figures(quantities(run.values)),
    )


def _lost(run: Run) -> int:
    """Return how many messages were sent in a run, or on a hop, and not received there."""
    return int((~_arrived(run).index.has(run.dealt.index.unique)).sum())


def _not_handed_on(hops: Sequence[Run]) -> int:
    return sum(
        int((~after.dealt.index.has(hop.takers.index.unique)).sum())
        for hop, after in itertools.pairwise(hops)
    )


def table(outcomes: Mapping[str, Sequence[MessageCounts]]) -> str:
    """Return the outcomes of each variant's runs as a Markdown table: medians, and ranges."""
    own = dict.fromkeys(
        name for found in outcomes.values() for one in found for name in one.quantities
    )
    head = (
        "variant",
        "runs",
        *_COLUMNS,
        "first in a row",
        "noticed after",
        "recovered after",
        *map(_cell, own),
    )
    rows = [head, tuple("---" for _ in head)]
    for name, found in outcomes.items():
        counts = [counted(found, column) for column in _COLUMNS]
        rows_at_start = [one.first_row for one in found if one.first_row is not None]
        first = _range(rows_at_start) if rows_at_start else "-"
        spread = [_measured([one.quantities.get(figure) for one in found]) for figure in own]
        rows.append(
            (name, str(len(found)), *counts, first, noticed(found), recovered(found), *spread)
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(name: str) -> str:
    return name.replace("|", "\\|")


def _measured(values: Sequence[float | None]) -> str:
    """Return the median of a figure over the runs that have it, and its range."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    middle = measured(statistics.median(known))
    if known[0] == known[-1]:
        return middle
    return f"{middle} ({measured(known[0])} to {measured(known[-1])})"


def _arrived(run: Run) -> Times:
    """When each message that was printed came: as its receiver traced it, else as it was captured.

    A busy harness may capture a line late, so the trace's time counts.
    """
    received, taken = run.received, run.taken
    return Times(
        *vectors.earliest(
            vectors.column(received.numbers),
            vectors.floats(received.ts),
            vectors.column(taken.numbers),
            run.our_times(taken),
        )
    )


def _noticed(run: Run) -> float | None:
    if run.fault is None:
        return None
    since = run.fault.t - float(run.fault.details["took_s"])
    until = run.dealt.times.max(initial=since)  # afterwards it is the sender that leaves
    ends = [e.t for e in run.at_the_source("disconnected") if since <= e.t <= until]
    return max(0.0, ends[0] - run.fault.t) if ends else None


def counted(outcomes: Sequence[MessageCounts], column: str) -> str:
    """Return the median of a count, and its range if there is one: `2 (0 to 9)`."""
    return _range([getattr(one, column) for one in outcomes])


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{statistics.median_low(numbers)} ({low} to {high})"


def noticed(outcomes: Sequence[MessageCounts]) -> str:
    """Return how long after the fault the sender noticed it."""
    return _times([one.noticed_s for one in outcomes if one.had_fault])


def recovered(outcomes: Sequence[MessageCounts]) -> str:
    """Return how long after the repair the first message was through."""
    return _times([one.recovery_s for one in outcomes if one.had_repair])


def _times(times: Sequence[float | None]) -> str:
    known = [t for t in times if t is not None]
    if not known:
        return "never" if times else "-"
    text = f"{statistics.median(known):.2f} s"
    return text if len(known) == len(times) else f"{text} (in {len(known)} of {len(times)})"
