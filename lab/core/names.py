"""Names that become parts of file names: which are valid, and what those of processes mean."""

import re


def is_name(text: str) -> bool:
    """Return whether `text` is a valid name of an experiment."""
    return re.fullmatch(r"[a-z0-9_]{1,40}", text) is not None


def program_of(process: str) -> str:
    """Return the program of a process, which may be a later life of it: `count` of `count.2`."""
    name, dot, number = process.rpartition(".")
    return name if dot and number.isdigit() else process
