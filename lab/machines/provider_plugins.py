"""The providers that there are: those in lab/machines/providers/, and those that others installed.

They are found by name only, not imported by name: so the inventory can ask them for their settings,
though they themselves are made from an inventory.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping

from lab.core import plugins
from lab.core.errors import LabError
from lab.core.plugins import Plugin

GROUP = "pushpull.providers"

_PACKAGE = "lab.machines.providers"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@functools.cache
def built_in() -> Mapping[str, Plugin]:
    """Return the lab's own providers by name: what a module or package defines as `PROVIDER`."""
    found = plugins.built_in(_PACKAGE, "PROVIDER")
    return {each.name: each for each in found}


@functools.cache
def found() -> Mapping[str, Plugin]:
    """Return all providers by name; nobody can put another one in the place of the lab's own."""
    ours = built_in()
    others = plugins.installed(GROUP, taken=[*ours, "auto"])
    return {**ours, **{each.name: _checked(each) for each in others}}


def _checked(plugin: Plugin) -> Plugin:
    """Return a plugin; with an error where it isn't a provider as `providers.base` describes."""
    if plugin.error is not None:
        return plugin
    declared = getattr(plugin.value, "name", None)
    if declared == plugin.name and _NAME.fullmatch(declared) and hasattr(plugin.value, "settings"):
        return plugin
    error = LabError(
        f"{plugin.value!r} is not the provider {plugin.name!r}",
        where=plugin.origin,
        hint="derive it from lab.machines.providers.base.Provider, and give it this name",
    )
    return dataclasses.replace(plugin, value=None, error=error)
