"""What a provider is: it turns the inventory into machines that answer SSH.

Everything above this package speaks SSH to what a provider's `Access` names, and names no provider.
CONTRIBUTING.md says how to add one.
"""

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lab.core import faults
from lab.core.errors import LabError
from lab.core.faults.fault import Fault, Scope
from lab.machines.inventory import Inventory
from lab.machines.inventory.settings import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How one machine is reached, and where on it things are.

    `address` is its address on the lab network, `host` and `port` are where its SSH server answers.
    The client key is `key` (its text) or `key_file`; with neither, those of the user's agent and
    `~/.ssh`. The host key is `host_key` (as in known_hosts: kind and base64); without one, it must
    stand in `known_hosts`. Each run makes a folder of its own below `work`; a relative one lies in
    the user's home there. `if_key_changed` says what to do where the machine answers with another
    host key than `host_key`. `open_network` is true where any user of this computer can connect to
    the lab address.
    """

    provider: str
    machine: str
    role: str
    address: str
    host: str
    port: int | None
    user: str | None
    work: str
    python: str
    key: str | None = None
    key_file: Path | None = None
    host_key: str | None = None
    known_hosts: Path | None = None
    if_key_changed: str = ""
    open_network: bool = False


# Faults of the network that a machine with one of its own can do itself, if it has the tools.
NETWORK = faults.of(Scope.NETWORK)


class Machines:
    """The machines of a lab that is up: how they are reached, and what can be done to them.

    `faults` are those of machines and networks, and their repairs, that can be done here; whether a
    machine has the tools for those of NETWORK shows when they're tried. `foreign` ones were not
    made by the lab itself, so whether they are fit is seen before a run.
    """

    faults: frozenset[Fault] = NETWORK
    foreign = False

    def __init__(self, access: Mapping[str, Access]) -> None:
        self.access = access

    def do(self, fault: Fault, machine: str) -> None:
        """Do a machine's fault or repair, and return when it is in effect.

        Raises LabError where this provider can't, or it failed.
        """
        raise LabError(f"this provider can't do '{fault}'", where=f"machine {machine}")


class Refused(LabError):
    """This computer lacks what a provider needs: `auto` goes on to the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """When `--provider auto` takes a provider: the one with the lowest `order` that can be had.

    One that is `only_if_up` is taken before all others if its machines are up, and else not at
    all. `loses` says in a sentence what the user does without if it is taken in another's place.
    """

    order: int
    only_if_up: bool = False
    loses: str = ""


class Provider(abc.ABC):
    """A way of getting machines; a subclass is one, and its class attributes describe it.

    `name` is what `--provider` takes, `summary` one line on what machines it gives and what it
    needs. `settings` and `machine_settings` are JSON Schemas (see `inventory.settings`) of what the
    inventory may hold under `providers: NAME:`, and under `NAME:` of one machine. `faults` are the
    faults of machines and networks, and the repairs, that can be done. `knows_names` promises that
    machines find each other by name. `auto` is None for a provider that is only taken by name.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    settings: ClassVar[Schema | None] = None
    machine_settings: ClassVar[Schema | None] = None
    faults: ClassVar[frozenset[Fault]] = NETWORK
    knows_names: ClassVar[bool] = False
    auto: ClassVar[Auto | None] = None

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory

    @abc.abstractmethod
    def lab(self, *, keep: bool) -> AbstractContextManager[Machines]:
        """Give the lab that is up, else one that ends with the block (or stays: `keep`).

        Raises Refused where this computer can't have one, LabError for whatever else is wrong.
        """

    @abc.abstractmethod
    def up(self) -> None:
        """Bring the lab up, to stay until `down`; do nothing when it is."""

    @abc.abstractmethod
    def down(self) -> bool:
        """Take the lab down; return whether there was one."""

    @abc.abstractmethod
    def status(self) -> Mapping[str, str]:
        """Return each machine's state in a word, `running` and `not up` among them."""

    def is_up(self) -> bool:
        """Tell whether all machines are up."""
        return set(self.status().values()) == {"running"}

    def is_shared(self) -> bool:
        """Tell whether each run gets the same machines, so that only one can go on at a time."""
        return True

    def own_shell(self, machine: str) -> bool:
        """Give the user a shell by a tool of the provider's own; return False if it has none."""
        return False
