"""The parameters that an experiment declares: their values, as users set and as runs keep them.

In run.json they stand beside the settings that every run has, whose names no parameter can have.
"""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pushpull.core.errors import LabError

Value = bool | int | float | str

_OF_EVERY_RUN = ("count", "interval", "options", "variant")
_TAKEN = (*_OF_EVERY_RUN, "implementation")
_NAME = r"[a-z][a-z0-9_]{0,39}"
_TEXT = r"[^\x00-\x1f\x7f,]{0,200}"  # a comma separates the values of --vary
_MOST = 20
_LARGEST = 10**15
_SWITCH = {"true": True, "false": False}


def require_sound(declared: Mapping[str, Value]) -> None:
    """Raise ValueError if these names or values can't be those of parameters."""
    if len(declared) > _MOST:
        raise ValueError(f"{len(declared)} parameters are more than {_MOST}")
    for name, value in declared.items():
        if not re.fullmatch(_NAME, name):
            raise ValueError(f"{name!r} can't be a parameter's name: lower-case letters, digits, _")
        if name in _TAKEN:
            raise ValueError(f"{name!r} is a setting of every run; give the parameter another name")
        if not isinstance(value, Value) or _read(value, text(value)) is None:
            raise ValueError(f"parameter {name}={value!r} is no number, text, True or False")


def is_parameter(setting: str) -> bool:
    """Return whether NAME=VALUE is for a parameter; a socket option's name has capital letters."""
    return bool(re.match(r"[a-z]", setting))


def socket_options(settings: Sequence[str]) -> list[str]:
    """Return those settings, each NAME=VALUE, that are for no parameter."""
    return [setting for setting in settings if not is_parameter(setting)]


def given(
    declared: Mapping[str, Value], settings: Sequence[str], *, experiment: str, flag: str = "--set"
) -> dict[str, Value]:
    """Return the value of each declared parameter; the settings are NAME=VALUE, the last one wins.

    Raises:
        LabError: there is no such parameter, or its value is of another type than its default.
    """
    found = dict(declared)
    for setting in filter(is_parameter, settings):
        name, _, wanted = setting.partition("=")
        if name not in declared:
            raise LabError(
                f"'{experiment}' has no parameter '{name}'",
                where=flag,
                hint=_what_exists(name, declared),
            )
        value = _read(declared[name], wanted)
        if value is None:
            raise LabError(
                f"invalid value '{wanted}' for '{name}'",
                where=flag,
                hint=f"give {_kind(declared[name])}, such as {name}={text(declared[name])}",
            )
        found[name] = value
    return found


def of_run(description: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that a run had, by its run.json."""
    found = description["parameters"]
    return {
        name: value
        for name, value in found.items()
        if name not in _OF_EVERY_RUN and re.fullmatch(_NAME, name) and isinstance(value, Value)
    }


def text(value: Value) -> str:
    """Return a value as a user writes it, and as programs get it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(default: Value, wanted: str) -> Value | None:
    """Return a value of the default's type, None if the text is none."""
    if isinstance(default, bool):
        return _SWITCH.get(wanted)
    if isinstance(default, str):
        return wanted if re.fullmatch(_TEXT, wanted) else None
    try:
        number = int(wanted) if isinstance(default, int) else float(wanted)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= _LARGEST else None


def _kind(default: Value) -> str:
    if isinstance(default, bool):
        return "true or false"
    if isinstance(default, str):
        return "a text without commas"
    return "a whole number" if isinstance(default, int) else "a number"


def _what_exists(name: str, declared: Mapping[str, Value]) -> str:
    if not declared:
        return "it declares none (docs/own-experiment.md); socket options have capital letters"
    near = difflib.get_close_matches(name, declared, n=1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    there = ", ".join(f"{name}={text(value)}" for name, value in declared.items())
    return f"{meant}there are: {there}"
