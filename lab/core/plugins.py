"""What can be added from outside: found in a package of the lab, and by entry points.

An entry point is how an installed distribution names an object for other programs to load, see the
Python Packaging User Guide, "Entry points specification".
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lab.core.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """Something that was found; with an `error` it can't be used, and `value` is None.

    `origin` is the distribution that it comes from, empty for the lab itself.
    """

    name: str
    value: Any
    origin: str = ""
    error: LabError | None = None


def built_in(package: str, attribute: str) -> Iterator[Plugin]:
    """Give what the modules of a package define as `attribute`, by the modules' names."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{found.name}")
        if hasattr(module, attribute):
            yield Plugin(name=found.name, value=getattr(module, attribute))


def installed(group: str, *, taken: Collection[str]) -> Iterator[Plugin]:
    """Give what installed distributions name in a group of entry points, but for `taken` names.

    What can't be loaded has an `error`; it stops only those who ask for it by name.
    """
    for found in entry_points(group=group):
        if found.name not in taken:
            yield _loaded(found)


def _loaded(found: EntryPoint) -> Plugin:
    origin = f"{found.dist.name} {found.dist.version}" if found.dist else found.module
    try:
        return Plugin(name=found.name, value=found.load(), origin=origin)
    except (Exception, SystemExit) as error:
        refusal = LabError(
            f"{found.value} can't be loaded: {type(error).__name__}: {error}",
            where=origin,
            hint="repair or uninstall what brings it",
        )
        return Plugin(name=found.name, value=None, origin=origin, error=refusal)
