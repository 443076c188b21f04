"""The provider `ssh`: the user's own hosts, which already run and answer SSH."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pushpull.machines import lab_folder
from pushpull.machines.inventory import Inventory, Machine
from pushpull.machines.inventory.settings import UNIQUE, number, path, section, text
from pushpull.machines.providers.base import Access, Machines, Provider

_WORK = ".cache/push-pull-lab"
_SETTINGS = {
    "port": number(1, 65535, "a number from 1 to 65535"),
    "user": text("a user's name", r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*"),
    "key": path("the path of a private key"),
    "known_hosts": path("the path of a known_hosts file"),
    "python": text("the path of Python on the machine"),
}
_HOST = text("a host name or an address", r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*", **{UNIQUE: True})


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How one machine is reached.

    `host` is the machine's lab address unless the inventory says otherwise. `key` and
    `known_hosts` are absolute paths on this computer, `python` is a path on the machine. None
    leaves the choice to the user's own SSH configuration.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    python: str = "/opt/lab/venv/bin/python"

    @classmethod
    def of(cls, machine: Machine, inventory: Inventory) -> "SshSettings":
        """Return what an inventory says of a machine; paths are relative to its file."""
        settings = {"host": machine.address, **inventory.settings_for("ssh", machine)}
        folder = inventory.path.absolute().parent
        for key in ("key", "known_hosts"):
            if key in settings:
                settings[key] = folder / Path(settings[key]).expanduser()
        return cls(**settings)


class Hosts(Provider):
    """The provider `ssh`: it starts no machine and stops none."""

    name = "ssh"
    summary = "your own hosts that answer SSH; run provision/ on them once"
    settings = section("settings, such as {user: lab}", _SETTINGS)
    machine_settings = section(
        "settings, such as {host: 10.0.0.7, user: lab}", {**_SETTINGS, "host": _HOST}
    )

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        with lab_folder.reserved(lab_folder.folder("ssh", self.inventory)), self.look() as machines:
            yield machines

    @contextlib.contextmanager
    def look(self) -> Iterator[Machines]:
        machines = self.inventory.machines
        yield _HostMachines({each.name: _access(each, self.inventory) for each in machines})

    def up(self) -> None:
        return

    def down(self) -> bool:
        return False

    def status(self) -> Mapping[str, str]:
        return {machine.name: "not managed" for machine in self.inventory.machines}


class _HostMachines(Machines):
    foreign = True


def _access(machine: Machine, inventory: Inventory) -> Access:
    settings = SshSettings.of(machine, inventory)
    return Access(
        provider="ssh",
        machine=machine.name,
        roles=machine.roles,
        address=machine.address,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        key_file=settings.key,
        known_hosts=settings.known_hosts,
        work=_WORK,
        python=settings.python,
    )


PROVIDER = Hosts
