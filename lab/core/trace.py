"""A program's trace: one JSON object a line on stderr, by which it reports what happened.

A program prints on stderr what it likes, so a line is a trace only if all of it is well-formed and
bounded; anything else is a line for people.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from lab.core.clock import Moment
from lab.core.records import Record, shown
from lab.core.run_schema import LARGEST, LATEST, require_event

_LONGEST = 8 * 1024  # characters
_T = rb"((?:0|[1-9]\d{0,10})\.\d{1,17})"
_N = rb'("\d{1,18}"|0|[1-9]\d{0,17})'
# Finds in lines, whole ones of up to 64 KiB, the traces of messages as the lab's own programs write
# them: `t`, `m` or nothing, `sent` or `received`, the number, perhaps in quotes, and the text that
# was sent or nothing. Else the last group is a line that may hold another trace, for `parse_line`;
# no other line does.
PLAIN = re.compile(
    rb'^(?:\{"t": %b, (?:"m": %b, )?"event": "(sent|received)", "number": %b'
    rb'(?:, "text": "([ !#-\[\]-~]{1,4000})")?\}\r*|(\{.*|.*\r.*))$' % (_T, _T, _N),
    re.MULTILINE,
)
_OWN_KEYS = frozenset({"t", "m", "event", "machine", "process"})  # no details of an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a program reported.

    `at` is when, by its machine's clocks; `number` is the message's, where it speaks of
    one; `details` are what it said beside `t` and `event`: JSON values that an event can hold.
    """

    at: Moment
    event: str
    number: int | None
    details: dict[str, Any]


def trace_of(record: Record) -> Trace | None:
    """Return the trace that a captured line is; None for any other line."""
    if record.stream != "stderr" or record.text is None:
        return None
    return parse(record.shown or "")


def parse_line(line: bytes) -> Trace | None:
    """Return the trace that a whole line of stderr is, as `trace_of` does of its record."""
    return parse(shown(line.decode("utf-8", "backslashreplace")))


def parse(text: str) -> Trace | None:
    """Return the trace that a line of stderr holds; None where it is none. Never raises."""
    if not text.startswith("{") or len(text) > _LONGEST:
        return None
    try:
        return _checked(text)
    except (ValueError, RecursionError):
        return None


def _checked(text: str) -> Trace:
    """Return the trace; ValueError where the line is none, RecursionError where it's too deep."""
    value = json.loads(
        text, parse_int=_integer, parse_float=_finite, parse_constant=_refuse_constant
    )
    t, event = value.get("t"), value.get("event")  # it began with "{", so it is an object
    details = {key: one for key, one in value.items() if key not in _OWN_KEYS}
    require_event({"t": t, "event": event, **details})
    if "\\u" in text:  # half of a surrogate pair can't be written as UTF-8: UnicodeEncodeError
        json.dumps(details, ensure_ascii=False).encode()
    return Trace(
        at=Moment(float(t), _monotonic(value.get("m"))),
        event=event,
        number=_number(details.get("number")),
        details=details,
    )


def _integer(digits: str) -> int:
    if -LARGEST < (value := int(digits)) < LARGEST:
        return value
    raise ValueError("a number that nothing here counts to")


def _finite(digits: str) -> float:
    if math.isfinite(value := float(digits)):
        return value
    raise ValueError("a number that is too large for a float")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _monotonic(value: object) -> float | None:
    if isinstance(value, int | float) and type(value) is not bool and 0 <= value < LATEST:
        return float(value)
    return None


def _number(value: object) -> int | None:
    """Return a message's number: our programs trace it as they got it, so perhaps as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII):
        return int(value)
    return value if type(value) is int and value >= 0 else None
