"""A program's traces: JSON objects, one per line on stderr, that report what happened.

A program may print anything on stderr, so a line is a trace only if it is well-formed and bounded;
anything else is a line for people.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from pushpull.core.clock import Moment
from pushpull.core.records import Record, shown
from pushpull.core.run_schema import LARGEST, LATEST, require_event

_LONGEST = 8 * 1024  # characters
_T = rb"((?:0|[1-9]\d{0,10})\.\d{1,17})"
_N = rb'("\d{1,18}"|0|[1-9]\d{0,17})'
_TEXT = rb"[ !#-\[\]-~]{1,4000}"
_REAL = rb"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,25})?(?:e[+-]?\d\d)?"
_VALUES = rb'\{(?:"[ !#-\[\]-~]{1,64}": ?%b(?:, ?(?=")|(?=\}))){0,20}\}' % _REAL
_T_OR_M = rb'"t": ?%b|"m": ?%b' % (_T, _T)
_KEY = rb'%b|"event": ?"(sent|received)"|"number": ?%b|"text": ?"(%b)"|"values": ?%b' % (
    *(_T_OR_M, _N, _TEXT, _VALUES),
)
_KEY_WITH_VALUES = rb'%b|"event": ?"(%b)"|"number": ?%b|"text": ?"%b"|"values": ?(%b)' % (
    *(_T_OR_M, rb"sent|received|values", _N, _TEXT, _VALUES),
)
_OBJECT = rb'\{(?:(?:%b)(?:, ?(?=")|(?=\})))+\}'
# Finds, in whole lines of up to 64 KiB, message traces with no other keys than these, in any order.
# Groups: `t`; `m`, if given; `sent` or `received`; the number, perhaps in quotes; the text that was
# sent, if given. The last group is any other line that may be a trace, for `parse_line`; then the
# others mean nothing. A line that does not match is not a trace.
PLAIN = re.compile(
    rb"^(?:%b(?(1)|(?!))(?(3)|(?!))(?(4)|(?!))\r*|(\{.*|.*\r.*))$" % (_OBJECT % _KEY), re.MULTILINE
)
# The same for traces with values. Groups: `t`; `m`, if given; the event; the number, if given; the
# values as JSON; any other line that may be such a trace.
VALUED = re.compile(
    rb'^(?:%b(?(1)|(?!))(?(3)|(?!))(?(5)|(?!))\r*|(\{.*"values".*|.*\r.*))$'
    % (_OBJECT % _KEY_WITH_VALUES),
    re.MULTILINE,
)
_OWN_KEYS = frozenset({"t", "m", "event", "machine", "process"})  # not details of an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A program's report.

    `at` is the time by its machine's clocks; `number` is the message's number, if it is about one;
    `details` are its other keys besides `t` and `event`, with JSON values that an event can hold.
    """

    at: Moment
    event: str
    number: int | None
    details: dict[str, Any]


def trace_of(record: Record) -> Trace | None:
    """Return the trace in a captured line; None if it is not a trace."""
    if record.stream != "stderr" or record.text is None:
        return None
    return parse(record.shown or "")


def parse_line(line: bytes) -> Trace | None:
    """Return the trace in a whole line of stderr, like `trace_of`; None if it is not a trace."""
    return parse(shown(line.decode("utf-8", "backslashreplace")))


def parse(text: str) -> Trace | None:
    """Return the trace in a line of stderr; None if it is not a trace. Never raises."""
    if not text.startswith("{") or len(text) > _LONGEST:
        return None
    try:
        return _checked(text)
    except (ValueError, RecursionError):
        return None


def _checked(text: str) -> Trace:
    """Return the trace; ValueError if it is not one, RecursionError if it is nested too deeply."""
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
    raise ValueError("the number is too large for a count")


def _finite(digits: str) -> float:
    if math.isfinite(value := float(digits)):
        return value
    raise ValueError("the number is too large for a float")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _monotonic(value: object) -> float | None:
    if isinstance(value, int | float) and type(value) is not bool and 0 <= value < LATEST:
        return float(value)
    return None


def _number(value: object) -> int | None:
    """Return a message's number, which programs may trace as they received it, so as text."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value, re.ASCII):
        return int(value)
    return value if type(value) is int and 0 <= value < LARGEST else None
