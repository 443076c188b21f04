"""The connections of a run, each as both of its ends reported it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pushpull.core.records import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """A connection, as the libraries on both ends reported it; `own` is the receiver's event.

    A busy machine may report late. So messages before the `first` of the two were sent without the
    connection, and messages after the `last` were sent with it.
    """

    own: Event
    first: Event
    last: Event


def paired(owns: Sequence[Event], theirs: Sequence[Event]) -> list[Handshake]:
    """Return the connections in order; the ends don't name each other, but both report in order.

    Arguments:
        owns: the receivers' events.
        theirs: those of the other end, in the same number unless receivers don't report.
    """
    if len(owns) != len(theirs):  # no traces: match by time
        owns = [min(owns, key=lambda own: abs(own.t - e.t), default=e) for e in theirs]
    found = []
    for own, event in zip(owns, theirs, strict=True):
        first, last = sorted((own, event), key=lambda end: end.t)
        found.append(Handshake(own=own, first=first, last=last))
    return found
