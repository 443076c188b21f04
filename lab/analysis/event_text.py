"""Events told in words, for all screens and pages: what was done to whom, and what came of it."""

import itertools
import signal
from collections.abc import Mapping

from lab.core import faults
from lab.core.records import LEASE, LOST, Event
from lab.core.text import duration, harmless

_QUOTED = 24  # characters of a line that an event quotes
_LEFT_OUT = 3  # files that are named


class EventDescriber:
    """Tells what happened, event after event: it remembers what triggered a fault."""

    def __init__(self) -> None:
        self._trigger: Event | None = None

    def describe(self, event: Event) -> str:
        """Return the event in words, or "" when a user need not hear of it.

        Those are told that a reader must know of to understand the lines: faults, repairs, and a
        process that ended badly and by itself, or was killed as it did not end.
        """
        match event.event:
            case "trigger":
                self._trigger = event
            case "fault":
                trigger, self._trigger = self._trigger, None
                return _fault(event, trigger)
            case "repair":
                return f"{_who(event)} {_done(event)}{_doubt(event)}"
            case "exit" if event.details.get("by") == "itself" and event.details.get("status") != 0:
                return f"{_who(event)} ended by itself, {_status(event.details.get('status'))}"
            case "exit" if isinstance(after_s := event.details.get("killed_after_s"), int | float):
                return f"{_who(event)} was killed: it had not ended {after_s:g} s after SIGTERM"
            case "exit" if event.details.get("by") == LEASE:
                return f"{_who(event)} was ended by its lease: the lab had been silent too long"
            case "exit" if event.details.get("by") == LOST:
                return f"{_who(event)} is lost: the connection to its machine broke"
            case "fetched":
                return _fetched(event)
        return ""


def state(event: Event) -> str:
    """Return in a word or two how a fault or a repair leaves the one to whom it was done."""
    return _done(event).removeprefix("was ").removeprefix("had its ")


def _fault(event: Event, trigger: Event | None) -> str:
    told = f"{_who(event)} {_done(event)}{_from(event)}"
    delay = event.details.get("trigger_to_effect_s")
    if trigger and isinstance(delay, int | float):
        same = trigger.machine == event.machine and event.process in ("", trigger.process)
        who = "it" if same else trigger.machine or "it"
        told += f", {duration(delay)} after {who} printed {_quoted(trigger.details.get('text'))}"
    return told + _doubt(event)


def _fetched(event: Event) -> str:
    """Return what came of the files that programs left on a machine."""
    machine, details = harmless(event.machine, 60), event.details
    if "lost" in details:
        return f"what programs left on {machine} is lost: {harmless(str(details['lost']), 120)}"
    files = "1 file" if details.get("files") == 1 else f"{details.get('files')} files"
    told = f"{files} that programs left on {machine} fetched"
    left_out = details.get("left_out")
    if not isinstance(left_out, Mapping) or not left_out:
        return told
    first = [f"{name} ({why})" for name, why in itertools.islice(left_out.items(), _LEFT_OUT)]
    more = len(left_out) - len(first)
    names = ", ".join(harmless(one, 120) for one in first) + (f", {more} more" if more else "")
    return f"{told}, left out: {names}"


def _doubt(event: Event) -> str:
    """Return what is to be said of a fault or a repair that no check has confirmed."""
    match event.details.get("verified", True):
        case None:
            return " (not verified)"
        case False:
            return " (not verified: it may not have happened)"
    return ""


def _done(event: Event) -> str:
    name = str(event.details.get(event.event, event.event))
    known = faults.ALL.get(name)
    return known.words if known else f"was hit by '{harmless(name, 60)}'"


def _from(event: Event) -> str:
    """Return from whom a machine was cut off, if it was."""
    others = " and ".join(harmless(str(name), 60) for name in event.details.get("from", ()))
    way = " one way: what it sends is lost" if event.details.get("one_way") else ""
    return f" from {others}{way}" if others else ""


def _quoted(line: object) -> str:
    text = str(line or "")
    more = "…" if len(text) > _QUOTED else ""
    return f"'{harmless(text[:_QUOTED], 10 * _QUOTED)}{more}'"


def _who(event: Event) -> str:
    names = [harmless(name, 60) for name in (event.process, event.machine) if name]
    return " on ".join(names) or "the lab"


def _status(status: object) -> str:
    if not isinstance(status, int):
        return "its exit status unknown"
    number = status - 128  # what a shell reports of a process that a signal ended
    if number in {known.value for known in signal.Signals}:
        return f"exit status {status} ({signal.Signals(number).name})"
    return f"exit status {status}"
