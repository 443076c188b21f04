"""The user's side of an embedded lab: starts its supervisor, finds the one that is up, ends it."""

import contextlib
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.inventory import Inventory, folders
from lab.providers import NETWORK, Access, Machines, state
from lab.providers.control import Client
from lab.providers.own_folders import hides_own
from lab.starting import start, take_prepared

_MOST_MACHINES = 1000  # a Linux bridge has 1,023 ports


class Refused(LabError):
    """This computer's kernel refuses what the provider needs."""


class IsolatedMachines(Machines):
    """Machines in namespaces: their supervisor cuts what is to be cut."""

    faults = NETWORK | frozenset({"cut_power", "shut_down", "power_on", "cut_cable", "mend_cable"})

    def __init__(self, access: Mapping[str, Access], client: Client) -> None:
        super().__init__(access)
        self._client = client

    def do(self, fault: str, machine: str) -> None:
        answer = self._client.ask(fault, machine)
        if "refused" in answer:
            raise LabError(
                f"the kernel refuses to {fault}: {answer['refused']}", where=f"machine {machine}"
            )


class PlainMachines(Machines):
    """Machines that share this computer's network, which isn't to be changed, and its power."""

    faults = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A provider whose machines are processes of this computer, see `supervisor`.

    `explain` turns a step that the kernel refused, and its errno, into the user's message.
    """

    name: str
    inventory: Inventory
    isolated: bool
    explain: Callable[[str, int], Refused]

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        if keep:
            self.up()
        client = self._find()
        if client is None:
            with self._own_lab() as machines:
                yield machines
            return
        with contextlib.closing(client), state.reserved(self._folder()):
            yield self._given(client)

    def up(self) -> None:
        if (client := self._find()) is not None:
            client.close()
            return
        folder = self._folder()
        state.make(folder)
        with _at(folder) as here, socket.socket(socket.AF_UNIX) as listener:
            Path(f"{here}/control").unlink(missing_ok=True)
            listener.bind(f"{here}/control")
            Path(f"{here}/control").chmod(0o600)
            listener.listen()
            (folder / "inventory").write_text(self.inventory.digest)
            with (folder / "log").open("w") as log:
                start(listener, log, self._spec())
        client = self._find()
        if client is None:
            raise LabError(
                "the lab's supervisor ended at once", cure=f"see what it says in {folder / 'log'}"
            )
        with contextlib.closing(client):
            self._machines(client)

    def down(self) -> bool:
        client = self._find()
        if client is None:
            return False
        with contextlib.closing(client):
            ended = os.pidfd_open(client.hear()["supervisor"])
            client.ask("down")
            select.select([ended], [], [])
            os.close(ended)
        (self._folder() / "control").unlink(missing_ok=True)
        return True

    def status(self) -> Mapping[str, str]:
        client = self._find()
        if client is None:
            return {machine.name: "not up" for machine in self.inventory.machines}
        with contextlib.closing(client):
            client.hear()
            states: dict[str, str] = client.ask("status")["machines"]
            return states

    def own_shell(self, machine: str) -> bool:
        return False

    @contextlib.contextmanager
    def _own_lab(self) -> Iterator[Machines]:
        supervisor = take_prepared()
        client = Client(supervisor.connection)
        try:
            supervisor.begin(self._spec())
            yield self._given(client)
        finally:
            client.close()
            supervisor.end()

    def _given(self, client: Client) -> Machines:
        access = self._machines(client)
        return IsolatedMachines(access, client) if self.isolated else PlainMachines(access)

    def _spec(self) -> dict[str, Any]:
        if len(self.inventory.machines) > _MOST_MACHINES:
            raise LabError(
                f"an embedded lab has at most {_MOST_MACHINES} machines",
                where=str(self.inventory.path),
                cure=f"it names {len(self.inventory.machines)}: take some away",
            )
        return {
            "provider": self.name,
            "isolated": self.isolated,
            "network": self.inventory.network,
            "visible": [sys.prefix, sys.base_prefix, *self._visible()],
            "machines": {machine.name: machine.address for machine in self.inventory.machines},
        }

    def _visible(self) -> list[str]:
        """Return the folders that are to be seen on machines beside those of the system."""
        local = folders(os.environ.get("LAB_VISIBLE", ""))
        named = [(folder, str(self.inventory.path)) for folder in self.inventory.visible]
        for folder, where in [*named, *((folder, "LAB_VISIBLE") for folder in local)]:
            if not folder.is_dir() or hides_own(str(folder)):
                raise LabError(
                    f"machines can't be shown {folder}",
                    where=where,
                    cure="name folders that exist, and that hold none of the machine's own"
                    " (/tmp, /run, /dev, /proc, /sys)",
                )
        return [str(folder) for folder in (*self.inventory.visible, *local)]

    def _find(self) -> Client | None:
        """Return a connection to the lab that is up, if one is."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            with _at(self._folder()) as here:
                connection.connect(f"{here}/control")
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        if (self._folder() / "inventory").read_text() != self.inventory.digest:
            raise LabError(
                "the lab that is up was made from another version of this file",
                where=str(self.inventory.path),
                cure="`fab down` with the old version, or change it back",
            )
        return Client(connection)

    def _machines(self, client: Client) -> dict[str, Access]:
        said = client.hear()
        if "refused" in said:
            raise self.explain(said["refused"], said["errno"])
        if not said:
            raise LabError("the lab's supervisor ended before its machines were up")
        return {
            machine.name: _access(machine.name, machine.role, said)
            for machine in self.inventory.machines
        }

    def _folder(self) -> Path:
        return state.folder(self.name, self.inventory)


def _access(machine: str, role: str, said: dict[str, Any]) -> Access:
    there = said["machines"][machine]
    return Access(
        provider=said["provider"],
        machine=machine,
        role=role,
        address=there["address"],
        host="127.0.0.1",
        port=there["port"],
        user="root",
        key=said["client_key"],
        host_key=there["host_key"],
        work=there["work"],
        python=sys.executable,
    )


@contextlib.contextmanager
def _at(folder: Path) -> Iterator[str]:
    """Give a short name for `folder`: a Unix socket's path has at most 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
