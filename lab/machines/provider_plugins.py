"""Finds all providers: those in lab/machines/providers/, and installed ones of others.

This module finds them without importing any by name. So the inventory can ask them for their
settings, though they themselves are created from an inventory.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping

from pushpull.core import plugins
from pushpull.core.errors import LabError
from pushpull.core.plugins import Plugin

GROUP = "pushpull.providers"

_PACKAGE = "pushpull.machines.providers"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_DECLARED = ("summary", "settings", "machine_settings", "faults", "knows_names", "auto")


@functools.cache
def built_in() -> Mapping[str, Plugin]:
    """Return the lab's own providers by name: what a module or package defines as `PROVIDER`."""
    found = plugins.built_in(_PACKAGE, "PROVIDER")
    return {each.name: each for each in found}


@functools.cache
def found() -> Mapping[str, Plugin]:
    """Return all providers by name; no other one can replace one of the lab's own."""
    ours = built_in()
    others = plugins.installed(GROUP, taken=[*ours, "auto"])
    return {**ours, **{each.name: _checked(each) for each in others}}


def _checked(plugin: Plugin) -> Plugin:
    """Return a plugin, with an error if it isn't a provider as in `providers.base`."""
    if plugin.error is not None:
        return plugin
    is_whole = all(hasattr(plugin.value, attribute) for attribute in _DECLARED)
    name = getattr(plugin.value, "name", None)
    if is_whole and name == plugin.name and _NAME.fullmatch(name):
        return plugin
    error = LabError(
        f"{plugin.value!r} is not the provider {plugin.name!r}",
        where=plugin.origin,
        hint="derive it from pushpull.machines.providers.base.Provider, and give it this name",
    )
    return dataclasses.replace(plugin, value=None, error=error)
