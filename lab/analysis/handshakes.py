"""Connections of a run, put together from what the libraries on their two ends reported."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pushpull.core.records import Event

# How late a program may report what its library did. Its thread for that waits for a processor and
# for Python's lock: with five programs to a processor it was up to 0.16 s late. (A run in which
# anything is later than this is disturbed: disturbance.TOO_LATE_S.)
REPORT_LATE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A connection, as the libraries on both ends reported it; `own` is the receiver's event.

    A busy machine may report late. So messages after the `last` report were sent with the
    connection, but not all of those before the `first` without it: only those before `not_before`
    (UNIX seconds).
    """

    own: Event
    first: Event
    last: Event
    not_before: float


def matched(
    owns: Sequence[Event],
    connections: Sequence[Event],
    starts: Mapping[tuple[str, str], float],
    late_s: float,
) -> list[Handshake]:
    """Return the connections in order; the ends don't name each other, but both report in order.

    `owns` are the receivers' reports, `connections` those of what they connect to, both by time.
    `starts` says when each process was started (UNIX seconds): it had no connection before. No
    report is later than `late_s` seconds.
    """
    if len(owns) != len(connections):  # no traces: match by time
        owns = [
            min(owns, key=lambda own: abs(own.t - event.t), default=event) for event in connections
        ]
    found = []
    for own, event in zip(owns, connections, strict=True):
        first, last = sorted((own, event), key=lambda end: end.t)
        not_before = max(starts.get(own.place, -math.inf), first.t - late_s)
        found.append(Handshake(own=own, first=first, last=last, not_before=not_before))
    return found
