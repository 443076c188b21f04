"""Events in words, for all screens and pages: what happened to what, and why."""

import itertools
import signal
from collections.abc import Mapping
from typing import Any

from pushpull.core import faults, records
from pushpull.core.records import LEASE, LOST, Event
from pushpull.core.text import duration, harmless

_QUOTED = 24  # characters of a line that an event quotes
_NUMBERS = 6  # of packets that are named
# What a slow network has, and how a number of it is read.
_SLOWNESS = (
    ("delay_ms", " ms later"),
    ("jitter_ms", " ms more or less"),
    ("rate_kbit", " kbit/s"),
    ("loss_percent", "% lost"),
    ("reorder_percent", "% reordered"),
    ("duplicate_percent", "% twice"),
    ("corrupt_percent", "% corrupted"),
)
_LEFT_OUT = 3  # files that are named


class EventDescriber:
    """Describes events one after another, and remembers what triggered a fault."""

    def __init__(self) -> None:
        self._trigger: Event | None = None

    def describe(self, event: Event) -> str:
        """Return the event in words, or "" if a reader need not know of it.

        A reader must know of faults, repairs, processes that failed by themselves, and processes
        that were killed because they did not end.
        """
        match event.event:
            case "trigger":
                self._trigger = event
            case "fault":
                trigger, self._trigger = self._trigger, None
                return _fault(event, trigger)
            case "repair":
                undone = _undone(event)
                return (
                    f"{_target(event)} {_predicate(event)}{undone}{_counted(event)}{_doubt(event)}"
                )
            case "exit" if event.details.get("by") == "itself" and event.details.get("status") != 0:
                return f"{_target(event)} ended by itself, {_status(event.details.get('status'))}"
            case "exit" if isinstance(after_s := event.details.get("killed_after_s"), int | float):
                return f"{_target(event)} was killed: it had not ended {after_s:g} s after SIGTERM"
            case "exit" if event.details.get("by") == LEASE:
                return f"{_target(event)} was ended by its lease: the lab was silent for too long"
            case "exit" if event.details.get("by") == LOST:
                return f"{_target(event)} was lost: the connection to its machine broke"
            case "broken":
                return f"no longer true: {harmless(str(event.details.get('statement')), 120)}"
            case records.GIVEN_UP:
                why = harmless(str(event.details.get("why")), 200)
                return f"the scenario was given up: {why}"
            case "fetched":
                return _fetched(event)
        return ""


def state(event: Event) -> str:
    """Return the target's state after a fault or a repair, in a word or two."""
    return _predicate(event).removeprefix("was ").removeprefix("had its ")


def _fault(event: Event, trigger: Event | None) -> str:
    text = f"{_target(event)} {_predicate(event)}{_which(event)}{_from(event)}"
    if isinstance(line := event.details.get("line"), int):
        return f"{text} {_at_line(line, event.details)}{_doubt(event)}"
    delay = event.details.get("trigger_to_effect_s")
    if trigger and isinstance(delay, int | float):
        same = trigger.machine == event.machine and event.process in ("", trigger.process)
        who = "it" if same else trigger.machine or "it"
        text += f", {duration(delay)} after {who} printed {_quoted(trigger.details.get('text'))}"
    return text + _doubt(event)


def _at_line(line: int, details: Mapping[str, Any]) -> str:
    """Describe at which of its lines something was done to a program, and how exactly."""
    late = details.get("late_lines")
    text = f"at its line {line:,}"
    if late and isinstance(late, int):
        text = f"{late:,} {'line' if late == 1 else 'lines'} after its line {line:,}"
    why = details.get("late_because")
    return f"{text}, as it can't be held there: {harmless(str(why), 120)}" if why else text


def _which(event: Event) -> str:
    """Describe which packets a fault loses, if it goes by their number or size."""
    match event.details:
        case {"every": int(every), "way": str(way)} if every:
            which = f"every {every:,}th"
        case {"packets": [*numbers], "way": str(way)}:
            first = ", ".join(f"{number}" for number in numbers[:_NUMBERS])
            which = f"number {first}" + (", ..." if len(numbers) > _NUMBERS else "")
        case {"bytes": int(size), "way": str(way)}:
            which = f"{size:,}"
        case {"message": int(after), "inside": int(inside), "before": str(before)}:
            which = f"after message {after:,}" if after else f"before {before}"
            return harmless(f": inside message {inside:,}" if inside else f": {which}", 120)
        case {"ahead_s": int(seconds) | float(seconds)}:
            way = "behind" if seconds < 0 else "ahead"
            return f" {abs(seconds):g} s {way}"
        case {"delay_ms": _}:
            said = [
                f"{event.details[name]:g}{unit}" for name, unit in _SLOWNESS if _is(event, name)
            ]
            return f" ({', '.join(said)})" if said else ""
        case _:
            return ""
    return harmless(f" ({which} {'both ways' if way == 'both' else way})", 120)


def _is(event: Event, name: str) -> bool:
    return isinstance(number := event.details.get(name), int | float) and number != 0


def _undone(event: Event) -> str:
    """Describe which fault a repair has undone, if it can undo several."""
    undone = event.details.get("undone")
    return f" of '{harmless(str(undone), 60)}'" if undone else ""


def _counted(event: Event) -> str:
    """Describe what the counters of a fault say, once it is repaired."""
    counted = event.details.get("counted")
    if not isinstance(counted, Mapping):
        return ""
    if "struck" in counted:
        return ": it was cut there" if counted["struck"] else ": it was never cut"
    ways = [way for way in ("sent", "received") if f"lost_{way}" in counted]
    said = [f"{counted[f'lost_{w}']} of {counted.get(f'seen_{w}')} packets {w}" for w in ways]
    return f": {harmless(' and '.join(said), 120)} were lost" if said else ""


def _fetched(event: Event) -> str:
    """Describe what became of the files that programs left on a machine."""
    machine, details = harmless(event.machine, 60), event.details
    if "lost" in details:
        return f"files left on {machine} were lost: {harmless(str(details['lost']), 120)}"
    files = "1 file" if details.get("files") == 1 else f"{details.get('files')} files"
    text = f"fetched {files} that programs left on {machine}"
    left_out = details.get("left_out")
    if not isinstance(left_out, Mapping) or not left_out:
        return text
    first = [f"{name} ({why})" for name, why in itertools.islice(left_out.items(), _LEFT_OUT)]
    more = len(left_out) - len(first)
    names = ", ".join(harmless(one, 120) for one in first) + (f", {more} more" if more else "")
    return f"{text}, left out: {names}"


def _doubt(event: Event) -> str:
    """Return a remark on a fault or a repair that no check has confirmed."""
    match event.details.get("verified", True):
        case None:
            return " (not verified)"
        case False:
            return " (not verified: it may not have happened)"
    return ""


def _predicate(event: Event) -> str:
    name = str(event.details.get(event.event, event.event))
    known = faults.ALL.get(name)
    return known.words if known else f"was hit by '{harmless(name, 60)}'"


def _from(event: Event) -> str:
    """Return what a machine was cut off from, if it was."""
    others = " and ".join(harmless(str(name), 60) for name in event.details.get("from", ()))
    way = " one way: what it sends is lost" if event.details.get("one_way") else ""
    return f" from {others}{way}" if others else ""


def _quoted(line: object) -> str:
    text = str(line or "")
    more = "…" if len(text) > _QUOTED else ""
    return f"'{harmless(text[:_QUOTED], 10 * _QUOTED)}{more}'"


def _target(event: Event) -> str:
    names = [harmless(name, 60) for name in (event.process, event.machine) if name]
    return " on ".join(names) or "the lab"


def _status(status: object) -> str:
    if not isinstance(status, int):
        return "its exit status unknown"
    number = status - 128  # a shell's status for a process ended by a signal
    if number in {known.value for known in signal.Signals}:
        return f"exit status {status} ({signal.Signals(number).name})"
    return f"exit status {status}"
