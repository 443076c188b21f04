"""JSON Schemas for settings in an inventory, with which a provider declares its own.

Each `description` completes the sentence "write ..." in a hint; editors show it too. Patterns mean
the same in Python and in ECMAScript, as JSON Schema requires.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]  # of one value

# Our own keyword: no two machines may have the same value.
UNIQUE = "x-unique"

_WORDS = r"[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*"
_LONGEST = 1024


def text(description: str, pattern: str = _WORDS, **more: Any) -> Schema:
    """Describe a text that matches `pattern` as a whole; `more` are further keywords."""
    # Python's $ also matches before a final newline.
    whole = rf"^(?:{pattern})$(?!\n)"
    return {
        "type": "string",
        "description": description,
        "pattern": whole,
        "maxLength": _LONGEST,
        **more,
    }


def words(description: str, pattern: str) -> Schema:
    """Describe a text that matches `pattern` as a whole, or a list of such texts."""
    one = text(description, pattern)
    return {**one, "type": ["string", "array"], "items": one, "minItems": 1}


def path(description: str, **more: Any) -> Schema:
    """Describe the path of a file on this computer; `~` is a user's home."""
    return text(description, format="local-path", **more)


def number(least: int, most: int, description: str, **more: Any) -> Schema:
    """Describe a whole number from `least` to `most`."""
    return {
        "type": "integer",
        "description": description,
        "minimum": least,
        "maximum": most,
        **more,
    }


def section(description: str, settings: Mapping[str, Schema], **more: Any) -> Schema:
    """Describe a mapping with no other keys than those in `settings`."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(settings),
        "additionalProperties": False,
        **more,
    }
