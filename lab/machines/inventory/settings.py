"""What a setting in an inventory may be, as JSON Schema; a provider declares its own with these.

The `description` of each ends the sentence "write ...", by which a user is helped; editors show it
as well. The patterns are understood alike by Python and by ECMAScript, as JSON Schema wants it.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]  # of one value

# Keyword of our own: no two machines may have the same value.
UNIQUE = "x-unique"

_WORDS = r"[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*"
_LONGEST = 1024


def text(description: str, pattern: str = _WORDS, **more: Any) -> Schema:
    """Describe a text that matches `pattern` as a whole; `more` are further keywords."""
    # Python's $ also matches before a line's end that ends the text.
    whole = rf"^(?:{pattern})$(?!\n)"
    return {
        "type": "string",
        "description": description,
        "pattern": whole,
        "maxLength": _LONGEST,
        **more,
    }


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
    """Describe a mapping that has no other keys than those of `settings`."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(settings),
        "additionalProperties": False,
        **more,
    }
