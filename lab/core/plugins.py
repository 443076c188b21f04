"""Finds plugins: in a package of the lab, and by entry points of installed distributions.

With an entry point, a distribution names an object that other programs may load, see the Python
Packaging User Guide, "Entry points specification".
"""

import importlib
import pkgutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pushpull.core.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin that was found; if it has an `error`, it is unusable, and `value` is None.

    `origin` is the distribution from which it comes, empty for the lab itself.
    """

    name: str
    value: Any
    origin: str = ""
    error: LabError | None = None


def built_in(package: str, attribute: str) -> Iterator[Plugin]:
    """Yield what the modules of a package define as `attribute`, by the modules' names."""
    for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{found.name}")
        if hasattr(module, attribute):
            yield Plugin(name=found.name, value=getattr(module, attribute))


def installed(group: str, *, taken: Collection[str]) -> Iterator[Plugin]:
    """Yield what installed distributions name in a group of entry points, except `taken` names.

    What can't be loaded has an `error`, which matters only if it is requested by name.
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
            hint="repair or uninstall that distribution",
        )
        return Plugin(name=found.name, value=None, origin=origin, error=refusal)
