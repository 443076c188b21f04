"""Judges an inventory's data by its JSON Schema. Its import takes as long as starting machines."""

import functools
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from pushpull.machines.inventory.formats import FORMATS
from pushpull.machines.inventory.schema import Fault, Keys
from pushpull.machines.inventory.settings import Schema


def faults(data: Mapping[str, Any], schema: Schema) -> Collection[Fault]:
    """Return all that is wrong with a file's data, one fault for each value."""
    checker = FormatChecker(())
    for name, hint in FORMATS.items():
        checker.checks(name)(functools.partial(_has_format, hint))
    found: dict[Keys, Fault] = {}
    for error in Draft202012Validator(schema, format_checker=checker).iter_errors(data):
        for fault in _faults(error):
            if fault.hint or fault.keys not in found:
                found[fault.keys] = fault
    return found.values()


def _has_format(hint: Any, value: object) -> bool:
    return not isinstance(value, str) or not hint(value)


def _faults(error: ValidationError) -> Iterator[Fault]:
    """Yield the faults for an error of the library."""
    keys = tuple(map(str, error.absolute_path))
    if error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                yield Fault(keys=(*keys, key), kind="missing")
    elif error.validator in ("minProperties", "minItems"):
        yield Fault(keys=keys, kind="empty")
    elif error.validator == "format":
        yield Fault(keys=keys, kind="value", hint=FORMATS[error.validator_value](error.instance))
    elif error.validator == "type" and error.validator_value != "object":
        yield Fault(
            keys=keys, kind="no number" if error.validator_value == "integer" else "no text"
        )
    elif "propertyNames" not in error.absolute_schema_path:  # names are checked with their numbers
        yield Fault(keys=keys, kind="value")
