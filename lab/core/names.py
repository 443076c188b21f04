"""What names may be: they become parts of file names."""

import re


def is_name(text: str) -> bool:
    """Tell whether `text` may be an experiment's name."""
    return re.fullmatch(r"[a-z0-9_]{1,40}", text) is not None
