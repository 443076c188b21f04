"""When each message of a run was to be sent: a pure function of the run.

A sender that is held up sends all that follows late as well, and measured from those late sends
nothing seems to have waited ("coordinated omission", as Gil Tene named it). So lateness is also
measured from the times at which messages were to be sent.
"""

import numpy as np

from pushpull.analysis import vectors
from pushpull.analysis.by_number import Times
from pushpull.analysis.history import Run

_EARLY_S = 0.05
_NOTHING = Times(vectors.Index(np.empty(0, np.int64)), np.empty(0))


def intended(run: Run, interval: float) -> Times:
    """Return for each message the UNIX time at which its sender was to send it.

    Each life of a sender was to send its first message when it printed it, and another one
    `interval` seconds after each. Without an interval, and if one sends earlier than that, nothing
    is known: the result is empty.
    """
    sent = run.sent
    if interval <= 0 or not sent:
        return _NOTHING
    numbers, places = vectors.column(sent.numbers), vectors.column(sent.places)
    printed = vectors.floats(sent.ts)
    left, due = run.dealt.at(numbers, printed), np.empty(len(numbers))
    for place in np.unique(places):
        rows = vectors.places_of(places == place)
        first = min(printed[rows[0]], left[rows[0]])
        due[rows] = first + interval * np.arange(len(rows))
    if np.any(left < due - _EARLY_S):
        return _NOTHING
    index = vectors.Index(numbers)
    return Times(index, due[index.first_rows()])


def latest(arrived: Times, due: Times) -> float | None:
    """Return how late the latest of the messages was that arrived; None if nothing is known."""
    there, at = due.index.find(arrived.index.unique)
    late = arrived.times[there] - due.times[at[there]]
    return float(late.max()) if len(late) else None
