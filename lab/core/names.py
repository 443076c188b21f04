"""Which names are valid: they become parts of file names."""

import re


def is_name(text: str) -> bool:
    """Return whether `text` is a valid name of an experiment."""
    return re.fullmatch(r"[a-z0-9_]{1,40}", text) is not None
