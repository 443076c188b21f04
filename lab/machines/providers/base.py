"""Ways of getting machines. A provider turns the inventory into machines that answer SSH.

Everything above this package speaks SSH to what a provider's `Access` names, and knows no provider.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.core import faults
from lab.core.errors import LabError
from lab.core.faults.fault import Fault, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How one machine is reached, and where on it things are.

    `address` is its address on the lab network, `host` and `port` are where its SSH server answers.
    The client key is `key` (its text) or `key_file`; with neither, those of the user's agent and
    `~/.ssh`. The host key is `host_key` (as in known_hosts: kind and base64); without one, it must
    stand in `known_hosts`. Each run makes a folder of its own below `work`; a relative one lies in
    the user's home there.
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


class Provider(Protocol):
    """What the tasks ask of a provider."""

    def lab(self, *, keep: bool) -> AbstractContextManager[Machines]:
        """Give the lab that is up, else one that ends with the block (or stays: `keep`)."""

    def up(self) -> None:
        """Bring the lab up, to stay until `down`; do nothing when it is."""

    def down(self) -> bool:
        """Take the lab down; return whether there was one."""

    def status(self) -> Mapping[str, str]:
        """Return each machine's state in a word."""

    def is_shared(self) -> bool:
        """Tell whether each run gets the same machines, so that only one can go on at a time."""

    def own_shell(self, machine: str) -> bool:
        """Give the user a shell by a tool of the provider's own; return False if it has none."""
