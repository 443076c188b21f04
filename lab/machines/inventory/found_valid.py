"""Remembers which inventories' data was found valid here, in the clone's cache, or the user's."""

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pushpull.core.project import IS_CLONE, PROJECT, cache
from pushpull.machines.inventory import formats
from pushpull.machines.inventory.schema import Fault, of_all_providers
from pushpull.machines.inventory.settings import Schema

_MOST = 100  # inventories; an older one is judged again


def judged(data: Mapping[str, Any]) -> Collection[Fault]:
    """Return all that is wrong with a file's data, one fault for each value.

    Data that was found valid before is not judged again, as the library for that takes long to
    import.
    """
    schema = of_all_providers()
    key = _key(data, schema)
    if key in _keys():
        return ()
    from pushpull.machines.inventory.judging import faults

    found = faults(data, schema)
    if key and not found:
        _add(key)
    return found


def _key(data: Mapping[str, Any], schema: Schema) -> str:
    """Return what identifies the data, and all that judges it; empty if nothing does."""
    try:
        judged = json.dumps([data, schema])
    except (TypeError, ValueError, RecursionError):  # it has what YAML misread
        return ""
    rules = Path(formats.__file__).read_bytes()
    home = os.path.expanduser("~")  # noqa: PTH111  # which never raises
    return hashlib.sha256(b"\0".join([judged.encode(), rules, os.fsencode(home)])).hexdigest()


def _add(key: str) -> None:
    """Remember that this was found valid, if the cache can be written."""
    file = _file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        mine = file.with_suffix(f".{os.getpid()}")
        mine.write_text("\n".join([*_keys(), key][-_MOST:]))
        mine.replace(file)  # another process may be reading it, or writing


def _keys() -> list[str]:
    with contextlib.suppress(OSError, UnicodeError):
        return _file().read_text().split()
    return []


def _file() -> Path:
    # A run writes nothing outside of a clone.
    return (PROJECT / ".cache" if IS_CLONE else cache()) / "valid-inventories"
