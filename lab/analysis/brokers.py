"""A broker between senders and receivers, in a run: where it ran, and which connections it had."""

from collections.abc import Collection, Iterable

from pushpull.core.records import Event
from pushpull.core.vocabulary import BROKER

Place = tuple[str, str]


def places(started: Iterable[Event]) -> frozenset[Place]:
    """Return the machine and the process of each life of an implementation's broker."""
    return frozenset(
        event.place
        for event in started
        if event.details.get("program") == BROKER and "implementation" in event.details
    )


def with_receivers(
    events: Iterable[Event], brokers: Collection[Place], senders: Collection[str]
) -> list[Event]:
    """Return what a broker's connections with receivers did, by events of all connections.

    Arguments:
        events: those of one name, such as `connected`.
        brokers: the places of the broker.
        senders: the addresses of senders, whose own connections with the broker are left out.
    """
    return [e for e in events if e.place in brokers and e.details.get("peer") not in senders]
