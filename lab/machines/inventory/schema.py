"""The JSON Schema of an inventory file: the lab's own keys, and those of each provider.

The lab checks a file with the settings of all installed providers. For editors,
inventory.schema.json has the schema with the lab's own providers; run as a program
(`python -m pushpull.machines.inventory.schema`), this module prints that file.
"""

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from pushpull.machines import provider_plugins
from pushpull.machines.inventory.settings import UNIQUE, Schema, number, section, words

Keys = tuple[str, ...]  # the keys that lead to a value: ("machines", "host-1", "role")

MAX_MACHINES = 10_000
NAME = r"[a-z][a-z0-9-]{0,62}"


class Declared(Protocol):
    """What an inventory needs of a provider, see `pushpull.machines.providers.base`."""

    name: str
    settings: Schema | None
    machine_settings: Schema | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the value at `keys`: `kind` is missing, empty, no text, no number, value.

    `hint` is what to write instead, if that depends on the value.
    """

    keys: Keys
    kind: str
    hint: str = ""


def schema(providers: Iterable[Declared]) -> dict[str, Any]:
    """Return the JSON Schema of an inventory that may have settings of these providers."""
    known = list(providers)
    machine = {one.name: one.machine_settings for one in known if one.machine_settings} | {
        "role": words("a word of a-z, 0-9 and -, such as worker, or a list of these", NAME),
        "address": _formatted(
            "an IPv4 or IPv6 address, such as 192.168.0.161", "lab-address", "ipv4", "ipv6"
        ),
        "count": number(1, MAX_MACHINES, f"a number from 1 to {MAX_MACHINES}"),
    }
    file = {
        "network": _formatted("an IPv4 or IPv6 network, such as 192.168.0.0/24", "lab-network"),
        "machines": {
            "type": "object",
            "description": "machines, such as host-1: {role: worker, address: 192.168.0.161}",
            "minProperties": 1,
            "propertyNames": {"pattern": rf"^{NAME}$(?!\n)"},
            "additionalProperties": section(
                "{role: worker, address: 192.168.0.161}", machine, required=["role", "address"]
            ),
        },
        "providers": section(
            "settings, such as ssh: {user: lab}",
            {one.name: one.settings for one in known if one.settings},
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The machines of a lab",
        **section("network and machines", file, required=["network", "machines"]),
    }


def known_keys(keys: Keys) -> list[str] | None:
    """Return the allowed keys of the mapping at `keys`, None if any are allowed."""
    known = _at(keys).get("properties")
    return None if known is None else list(known)


def description(keys: Keys) -> str:
    """Return what to write at `keys`: the end of a sentence that begins with "write"."""
    return str(_at(keys).get("description", ""))


def unique(keys: Keys) -> bool:
    """Return whether no two machines may have the same value at `keys`."""
    return bool(_at(keys).get(UNIQUE))


def _formatted(description: str, name: str, *known: str) -> Schema:
    """Describe a text of a format; editors don't know it, but one of the `known` ones must fit."""
    found = {"type": "string", "description": description, "format": name}
    return found | ({"anyOf": [{"format": each} for each in known]} if known else {})


@functools.cache
def of_all_providers() -> dict[str, Any]:
    """Return the JSON Schema by which the lab checks a file."""
    usable = [each.value for each in provider_plugins.found().values() if each.error is None]
    return schema(usable)


def _at(keys: Keys) -> Schema:
    """Return the schema of the value at `keys`; empty if there is none."""
    found: Schema = of_all_providers()
    for key in keys:
        others = found.get("additionalProperties") or {}
        found = found.get("properties", {}).get(key, found.get("items", others))
    return found


if __name__ == "__main__":
    print(json.dumps(schema(each.value for each in provider_plugins.built_in().values()), indent=2))
