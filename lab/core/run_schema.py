"""The schema of a run's files: checks every value on which any reader of a run relies.

Other keys may have any value of bounded size, because a newer lab may write more. Each check takes
a value and its path, and raises ValueError with both; it also has a JSON Schema, which is a little
wider. Run as a program (`python -m pushpull.core.run_schema`), this module writes those files.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core.names import is_name
from pushpull.core.verdict import Need, Outcome


@dataclass(frozen=True, slots=True)
class Check:
    """What a value must be: a test of it at its path, and the JSON Schema of the same."""

    test: Callable[[Any, str], object]
    schema: Mapping[str, Any]

    def __call__(self, value: object, at: str) -> None:
        self.test(value, at)


MACHINE = r"[a-z][a-z0-9-]{0,62}"
PROCESS = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_MOST_VALUES = 100_000  # in one list or object
_DEEPEST = 20
_LONGEST_TEXT = 1_000_000
LATEST = 253_402_300_800  # the year 10000, in UNIX seconds, which is beyond all calendars
LARGEST = 2**63


def require_description(value: object) -> dict[str, Any]:
    """Return the value if it is valid for run.json; else ValueError."""
    return _object(value, "", _DESCRIPTION, _ALWAYS)


def require_verdicts(value: object) -> list[dict[str, Any]]:
    """Return the value if it is valid for verdicts.json; else ValueError."""
    _list(_verdict)(value, "")
    return value  # type: ignore[return-value]  # just checked


def require_event(value: Mapping[str, Any]) -> None:
    """Raise ValueError if the value is not valid for a line of events.jsonl."""
    _event(value, "")


def _wrong(at: str, expected: str) -> ValueError:
    return ValueError(f"{at or 'it'} should be {expected}")


def _that(holds: Callable[[Any], bool], expected: str, **schema: Any) -> Check:
    def check(value: object, at: str) -> None:
        if not holds(value):
            raise _wrong(at, expected)

    return Check(check, {"description": expected, **schema})


def _matching(pattern: str, expected: str) -> Check:
    compiled = re.compile(pattern)
    return _that(
        lambda v: isinstance(v, str) and bool(compiled.fullmatch(v)),
        expected,
        type="string",
        pattern=f"^(?:{pattern})$",
    )


def _or_null(check: Check) -> Check:
    return Check(
        lambda value, at: None if value is None else check(value, at),
        {"anyOf": [check.schema, {"type": "null"}]},
    )


def _list(of: Check) -> Check:
    def check(value: object, at: str) -> None:
        if not isinstance(value, list) or len(value) > _MOST_VALUES:
            raise _wrong(at, f"a list of at most {_MOST_VALUES:,}")
        for k, one in enumerate(value):
            of(one, f"{at}[{k}]")

    return Check(check, {"type": "array", "maxItems": _MOST_VALUES, "items": of.schema})


def _by_name(name: Check, of: Check) -> Check:
    def check(value: object, at: str) -> None:
        if not isinstance(value, dict) or len(value) > _MOST_VALUES:
            raise _wrong(at, "an object")
        for key, one in value.items():
            name(key, f"a key of {at}")
            of(one, f"{at}.{key}")

    return Check(
        check,
        {"type": "object", "propertyNames": name.schema, "additionalProperties": of.schema},
    )


def _record_of(keys: Mapping[str, Check], needed: tuple[str, ...] = ()) -> Check:
    return Check(lambda value, at: _object(value, at, keys, needed), _object_schema(keys, needed))


def _object_schema(keys: Mapping[str, Check], needed: tuple[str, ...]) -> dict[str, Any]:
    properties = {key: check.schema for key, check in keys.items()}
    return {"type": "object", "properties": properties, "required": list(needed)}


def _object(
    value: object, at: str, keys: Mapping[str, Check], needed: tuple[str, ...]
) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MOST_VALUES:
        raise _wrong(at, "an object")
    if missing := [key for key in needed if key not in value]:
        raise ValueError(f"{at or 'it'} lacks {missing[0]!r}")
    for key, one in value.items():
        _bounded(key, at)
        keys.get(key, _bounded)(one, f"{at}.{key}" if at else key)
    return value


def _bounded(value: object, at: str, depth: int = 0) -> None:
    """Check that a JSON value can be written again and shown."""
    match value:
        case str() if len(value) <= _LONGEST_TEXT:
            return
        case bool() | None:
            return
        case float() if math.isfinite(value):
            return
        case int() if abs(value) < 10**400:
            return
        case list() | dict() if depth < _DEEPEST and len(value) <= _MOST_VALUES:
            for one in (*value, *value.values()) if isinstance(value, dict) else value:
                _bounded(one, at, depth + 1)
            return
    raise _wrong(at, "finite, and neither too long nor too deep")


_any = Check(_bounded, {})
_text = _that(
    lambda v: isinstance(v, str) and len(v) <= _LONGEST_TEXT,
    "text",
    type="string",
    maxLength=_LONGEST_TEXT,
)
_flag = _that(lambda v: isinstance(v, bool), "true or false", type="boolean")
_count = _that(
    lambda v: type(v) is int and 0 <= v < LARGEST,
    "a whole number from 0",
    type="integer",
    minimum=0,
)
_number = _that(
    lambda v: type(v) in (int, float) and -LARGEST < v < LARGEST,
    "a number that is finite",
    type="number",
)
_positive = _that(
    lambda v: type(v) in (int, float) and 0 <= v < LARGEST,
    "a number from 0",
    type="number",
    minimum=0,
)
_time = _that(
    lambda v: type(v) in (int, float) and 0 <= v < LATEST,
    "a time in UNIX seconds",
    type="number",
    minimum=0,
    exclusiveMaximum=LATEST,
)
_machine = _matching(MACHINE, "a machine's name")
_no_machine = _matching(f"(?:{MACHINE})?", "a machine's name, or empty")
_no_process = _matching(f"(?:{PROCESS})?", "a process's name, or empty")
_word = _matching(r"[A-Za-z0-9_.:/+ -]{0,200}", "a short plain text")
_implementation = _matching(r"[A-Za-z0-9_=,.@-]{0,500}", "the name of an implementation")
_experiment = _that(
    lambda v: isinstance(v, str) and is_name(v), "an experiment's name", type="string"
)
_outcome = _that(
    lambda v: isinstance(v, str) and v in set(Outcome), " or ".join(Outcome), enum=list(Outcome)
)

_ALWAYS = ("state", "experiment", "started", "parameters")
_STATES = ("running", "finished", "interrupted")

_DESCRIPTION: Mapping[str, Check] = {
    "state": _that(lambda v: v in _STATES, "a run's state", enum=list(_STATES)),
    "format": _that(
        lambda v: v in (1, 2) and type(v) is int, "1 or 2, the formats known here", enum=[1, 2]
    ),
    "experiment": _experiment,
    "started": _time,
    "call": _word,
    "command": _text,
    "implementation": _implementation,
    "sweep": _record_of({"id": _word, "cell": _text, "run": _text}, needed=("id", "cell")),
    "module": _or_null(_text),
    "summary": _text,
    "source": _text,
    "error": _text,
    "provider": _word,
    "open_network": _flag,
    "parameters": _record_of(
        {
            "count": _that(
                lambda v: type(v) is int and 0 <= v <= 10**8,
                "a number of messages",
                type="integer",
                minimum=0,
                maximum=10**8,
            ),
            "interval": _positive,
            "options": _list(_text),
            "variant": _matching(r"[A-Za-z0-9_.-]{0,100}", "a variant's name"),
        },
        needed=("count", "interval"),
    ),
    "environment": _by_name(_text, _or_null(_text)),
    "inventory": _by_name(
        _machine, _record_of({"role": _text, "address": _text}, needed=("role", "address"))
    ),
    "clocks": _by_name(
        _machine,
        _record_of(
            {
                "offset_s": _number,
                "uncertainty_s": _positive,
                "monotonic_ahead_s": _or_null(_number),
                "wall_ahead_s": _or_null(_number),
            },
            needed=("offset_s", "uncertainty_s"),
        ),
    ),
    "clock_step_s": _number,
    "cut": _text,
    "given_up": _text,
    "disturbance": _record_of(
        {
            "harness_late_s": _number,
            "suspended_s": _number,
            "machines_late_s": _by_name(_machine, _number),
            "limit_s": _number,
            "disturbed": _flag,
        },
        needed=("harness_late_s", "suspended_s", "machines_late_s", "disturbed"),
    ),
    "never_connected": _flag,
    "machines": _by_name(_machine, _by_name(_text, _any)),
    "code": _record_of(
        {"lab": _word, "experiment": _word, "programs": _word}, needed=("lab", "experiment")
    ),
    "sums": _by_name(_text, _word),
}

_KINDS = ("start", "trigger", "fault", "repair", "exit")  # events of the harness itself
_EVENT: dict[str, Check] = {
    "t": _time,
    "event": _matching(r"[A-Za-z][A-Za-z0-9_. -]{0,60}", "an event's name"),
    "machine": _no_machine,
    "process": _no_process,
}
_DETAILS: dict[str, Check] = _EVENT | {
    "program": _text,
    "implementation": _implementation,
    "role": _text,
    "text": _or_null(_text),
    "fault": _text,
    "repair": _text,
    "undone": _text,
    "verified": _or_null(_flag),
    "one_way": _flag,
    "took_s": _number,
    "trigger_to_effect_s": _number,
    "from": _list(_machine),
    "by": _text,
    "status": _or_null(_number),
    "killed_after_s": _positive,
}
_NEEDED = {"fault": ("fault", "took_s", "verified"), "exit": ("by", "status")}


def _check_event(value: object, at: str) -> None:
    name = value.get("event") if isinstance(value, dict) else None
    by_harness = isinstance(name, str) and name in _KINDS
    needed = ("t", "event", *(_NEEDED.get(name, ()) if isinstance(name, str) else ()))
    _object(value, at, _DETAILS if by_harness else _EVENT, needed)


def _event_schema() -> dict[str, Any]:
    """Return the schema of all events, in which those of the harness have more to be checked."""
    details = {key: check.schema for key, check in _DETAILS.items()}
    more: list[dict[str, Any]] = [_if_event_in(_KINDS, {"properties": details})]
    more += [_if_event_in([kind], {"required": [*keys]}) for kind, keys in _NEEDED.items()]
    return _object_schema(_EVENT, ("t", "event")) | {"allOf": more}


def _if_event_in(kinds: Sequence[str], then: Mapping[str, Any]) -> dict[str, Any]:
    return {"if": {"properties": {"event": {"enum": [*kinds]}}}, "then": then}


_event = Check(_check_event, _event_schema())


_verdict = _record_of(
    {
        "id": _text,
        "statement": _text,
        "source": _text,
        "verdict": _outcome,
        "expected": _outcome,
        "because": _text,
        "need": _that(
            lambda v: isinstance(v, str) and v in set(Need), " or ".join(Need), enum=list(Need)
        ),
        "by_chance": _flag,
        "why": _text,
        "rests_on": _text,
        "disputed_by": _text,
        "partial": _flag,
        "evidence": _record_of(
            {"messages": _list(_number), "messages_in_all": _count, "events": _list(_event)}
        ),
    },
    needed=("id", "statement", "source", "verdict", "expected", "because", "by_chance", "evidence",
            "why"),
)  # fmt: skip


def schemas() -> dict[str, Any]:
    """Return the JSON Schemas of a run's files, by the names of the files that publish them."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        "run.schema.json": dialect | _object_schema(_DESCRIPTION, _ALWAYS),
        "event.schema.json": dialect | dict(_event.schema),
        "verdicts.schema.json": dialect | dict(_list(_verdict).schema),
    }


if __name__ == "__main__":
    for name, schema in schemas().items():
        Path(__file__).with_name(name).write_text(json.dumps(schema, indent=2) + "\n")
