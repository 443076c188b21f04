"""Checksums of what a run's verdicts rest on, by which a later change of any of it shows.

They are no signature: whoever makes them anew as well isn't found out.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushpull.core.os_errors import file_errors
from pushpull.runs.regular_files import open_regular

_MADE = ("events.jsonl", "verdicts.json", "*/*.log", "*/*.err", "*/*.index")
_LARGEST = 256 * 1024**2  # bytes: to read a larger file again would take longer than a second
# Paths and commands are left out, which a bundle doesn't keep.
_DESCRIBED = (
    "format", "experiment", "started", "state", "cut", "given_up", "code", "implementation",
    "parameters", "provider", "environment", "inventory", "clocks", "clock_step_s", "machines",
    "disturbance", "never_connected",
)  # fmt: skip
# Where home folders can be.
_HOME = re.compile(r"(?:/home|/Users|/var/home|/data/home)/[^/\s'\"]+|/root(?=/)")


def without_homes(text: str) -> str:
    """Return a text without home folders, whose owners' names must not leave this computer."""
    home = str(Path.home())
    return _HOME.sub("~", text.replace(home, "~") if len(home) > 1 else text)


def sums(run: Path, description: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksum of each file of a run by its name in the run, and of its run.json."""
    files = sorted(file for pattern in _MADE for file in run.glob(pattern))
    found = {file.relative_to(run).as_posix(): _sum(file) for file in files}
    kept = {name: description[name] for name in _DESCRIBED if name in description}
    text = without_homes(json.dumps(kept, sort_keys=True))
    found["run.json"] = hashlib.sha256(text.encode()).hexdigest()
    return {name: sum_ for name, sum_ in found.items() if sum_}


def changed(run: Path, description: Mapping[str, Any]) -> str:
    """Return a file that was changed, added or removed since the run; empty if none was."""
    then, now = description.get("sums"), sums(run, description)
    if then is None:  # by a lab that made none
        return ""
    return next((name for name in sorted({*then, *now}) if then.get(name) != now.get(name)), "")


def _sum(file: Path) -> str:
    """Return a file's checksum; empty for one that is too large."""
    if file.lstat().st_size > _LARGEST:
        return ""
    with open_regular(file, largest=_LARGEST) as stream, file_errors(file, "read"):
        return hashlib.file_digest(stream, "sha256").hexdigest()
