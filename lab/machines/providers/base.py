"""The interface of a provider, which turns the inventory into machines that answer SSH.

All code above this package talks to machines over SSH, through a provider's `Access`, and names no
provider. CONTRIBUTING.md says how to add one.
"""

import abc
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pushpull.core import faults
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault, Scope
from pushpull.core.vocabulary import IMPLEMENTATIONS
from pushpull.machines.inventory import Inventory
from pushpull.machines.inventory.settings import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How to reach one machine, and where to find things on it.

    `roles` are the inventory's. `address` is its address on the lab network; its SSH server answers
    at `host` and `port`. The client key is `key` (its text) or `key_file`; with neither, the lab
    tries the user's agent and `~/.ssh`. The host key is `host_key` (as in known_hosts: type and
    base64); without one, it must be in `known_hosts`. Each run creates a folder below `work`, which
    may be relative to the user's home there. `if_key_changed` is the hint if the machine answers
    with another host key than `host_key`. `implementations` is the folder of what is installed
    there for the lab's programs (see `machines.installer`). `open_network` is true if any user of
    this computer can connect to the lab address. `provides` are the commands and modules that it
    was seen to have (see `requirements`); machines with the same programs share one set.
    """

    provider: str
    machine: str
    roles: tuple[str, ...]
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
    implementations: str = IMPLEMENTATIONS
    open_network: bool = False
    provides: set[str] = field(default_factory=set, compare=False)


# Network faults that a machine with its own network can do by itself, if it has the tools.
NETWORK = faults.of(Scope.NETWORK)


class Machines:
    """The machines of a lab that is up: how to reach them, and which faults they can have.

    `faults` are the possible faults of machines and networks, with their repairs; only a trial
    shows whether a machine has the tools for those in NETWORK. `foreign` machines were not made by
    the lab itself, so a run checks first whether they are suitable.
    """

    faults: frozenset[Fault] = NETWORK
    foreign = False

    def __init__(self, access: Mapping[str, Access]) -> None:
        self.access = access

    def do(self, fault: Fault, machine: str) -> None:
        """Apply a fault or a repair to a machine, and return when it has taken effect.

        Raises LabError if this provider can't do it, or if it fails.
        """
        raise LabError(f"this provider can't do '{fault}'", where=f"machine {machine}")


class Refused(LabError):
    """This computer lacks what a provider needs: `auto` tries the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auto:
    """When `--provider auto` chooses a provider: it takes the lowest possible `order`.

    A provider that is `only_if_up` precedes all others if its machines are up, and is ignored
    otherwise. `loses` says in a sentence what the user loses if it replaces another one.
    """

    order: int
    only_if_up: bool = False
    loses: str = ""


class Provider(abc.ABC):
    """A source of machines; each subclass is one, and describes itself in class attributes.

    `name` is its name for `--provider`; `summary` says in one line which machines it provides and
    what it needs. `settings` and `machine_settings` are JSON Schemas (see `inventory.settings`) for
    the inventory's `providers: NAME:`, and for `NAME:` of one machine. `faults` are the possible
    faults of machines and networks, and their repairs. `knows_names` promises that machines resolve
    each other's names. `auto` is None for a provider that must be named. A provider that
    `makes_machines` has as many as an inventory names, at once.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    settings: ClassVar[Schema | None] = None
    machine_settings: ClassVar[Schema | None] = None
    faults: ClassVar[frozenset[Fault]] = NETWORK
    knows_names: ClassVar[bool] = False
    auto: ClassVar[Auto | None] = None
    makes_machines: ClassVar[bool] = False

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory

    @abc.abstractmethod
    def lab(self, *, keep: bool) -> AbstractContextManager[Machines]:
        """Yield the lab that is up, or else one that ends with the block (unless `keep`).

        Raises Refused if this computer can't have one, and LabError for all other problems.
        """

    def look(self) -> AbstractContextManager[Machines]:
        """Yield the lab that is up, also while a run uses it: for a look, not for a run."""
        return self.lab(keep=True)

    @abc.abstractmethod
    def up(self) -> None:
        """Bring the lab up until `down`; do nothing if it is up."""

    @abc.abstractmethod
    def down(self) -> bool:
        """Take the lab down; return whether there was one."""

    @abc.abstractmethod
    def status(self) -> Mapping[str, str]:
        """Return each machine's state in a word, such as `running` or `not up`."""

    def is_up(self) -> bool:
        """Return whether all machines are up."""
        return set(self.status().values()) == {"running"}

    def is_shared(self) -> bool:
        """Return whether all runs share the same machines, so that only one can run at a time."""
        return True

    def kept_in(self) -> Path | None:
        """Return the folder of the lab that is kept up, if that is one of this computer."""
        return None

    def own_shell(self, machine: str) -> bool:
        """Open a shell with the provider's own tool; return False if it has none."""
        return False
