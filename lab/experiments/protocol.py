"""The protocol of the lab's programs as data; docs/program-protocol.md has it in words.

A program has a name, by which scenarios start it. What it is decides which lines it prints, and so
how they are read: by no file's name, and alike in every implementation.
"""

from collections.abc import Mapping

from pushpull.core.vocabulary import BROKER

VERSION = 1

SENDER, RECEIVER = "sender", "receiver"

KINDS: Mapping[str, str] = {
    "push": SENDER,
    "publish": SENDER,
    "foreman": SENDER,
    "leave": SENDER,
    "pull": RECEIVER,
    "subscribe": RECEIVER,
    "worker": RECEIVER,
    "step": "stage",
    "fill": "probe",
    "request": "client",
    "answer": "server",
    BROKER: BROKER,
}
SENDERS = tuple(name for name, kind in KINDS.items() if kind == SENDER)
RECEIVERS = tuple(name for name, kind in KINDS.items() if kind == RECEIVER)

EVENTS = frozenset({"ready", "sent", "received", "accepted", "connected", "disconnected", "dies"})

# What every program of a kind can, unless its manifest says that it lacks it.
ABILITIES: Mapping[str, frozenset[str]] = {
    RECEIVER: frozenset({"reconnects"}),
    BROKER: frozenset({"stores"}),
}

# What every program of a kind has.
_ALL = frozenset({"--address", "--trace", "ready"})
_OF_KIND: Mapping[str, frozenset[str]] = {SENDER: frozenset({"--count", "--interval"})}
_OF_NAME: Mapping[str, frozenset[str]] = {"push": frozenset({"--first"})}


def required(name: str) -> frozenset[str]:
    """Return the flags and events that the program of this name has in every implementation."""
    if KINDS[name] == BROKER:  # a server, which can't be expected to trace
        return _ALL - {"ready"}
    return _ALL | _OF_KIND.get(KINDS[name], frozenset()) | _OF_NAME.get(name, frozenset())
