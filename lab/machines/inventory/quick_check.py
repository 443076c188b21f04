"""Sees that data fits a JSON Schema, without the library that says what is wrong with the rest.

The import of that library takes longer than all other work on an inventory, most of which are
valid.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pushpull.machines.inventory.settings import UNIQUE

_TYPES = {"string": str, "integer": int, "object": dict, "array": list}
_SAYS_NOTHING = {"$schema", "title", "description", UNIQUE}
# They say nothing of values of other types.
_OF_ONE_TYPE = {
    *("pattern", "maxLength", "format", "minimum", "maximum", "items", "minItems", "properties"),
    *("additionalProperties", "propertyNames", "minProperties", "required"),
}


def surely_fits(value: Any, schema: Any, has_format: Callable[[str, str], bool]) -> bool:
    """Return whether a value fits a schema; if False, it may fit: ask the library.

    Arguments:
        value: JSON data.
        schema: JSON Schema, draft 2020-12; with keywords that aren't known here, nothing fits.
        has_format: returns whether a text has the format of that name.
    """

    def fits(value: Any, schema: Any) -> bool:
        if isinstance(schema, bool):
            return schema
        return all(holds(keyword, wanted, value, schema) for keyword, wanted in schema.items())

    def holds(keyword: str, wanted: Any, value: Any, schema: Mapping[str, Any]) -> bool:
        match keyword, value:
            case "type", _:
                names = [wanted] if isinstance(wanted, str) else wanted
                return any(type(value) is _TYPES.get(name) for name in names)
            case "anyOf", _:
                return any(fits(value, one) for one in wanted)
            case "pattern", str():
                return re.search(wanted, value) is not None
            case "maxLength", str():
                return bool(len(value) <= wanted)
            case "format", str():
                return has_format(wanted, value)
            case "minimum", int():
                return bool(value >= wanted)
            case "maximum", int():
                return bool(value <= wanted)
            case (("minimum" | "maximum"), float()):
                return False
            case "items", list():
                return all(fits(one, wanted) for one in value)
            case "minItems", list():
                return bool(len(value) >= wanted)
            case "properties", dict():
                return all(fits(value[name], one) for name, one in wanted.items() if name in value)
            case "additionalProperties", dict():
                others = value.keys() - schema.get("properties", {}).keys()
                return all(fits(value[name], wanted) for name in others)
            case "propertyNames", dict():
                return all(fits(name, wanted) for name in value)
            case "minProperties", dict():
                return bool(len(value) >= wanted)
            case "required", dict():
                return value.keys() >= set(wanted)
            case _:
                return keyword in _OF_ONE_TYPE or keyword in _SAYS_NOTHING

    return fits(value, schema)
