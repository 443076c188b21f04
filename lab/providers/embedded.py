"""The user's side of an embedded lab: starts its supervisor, finds the one that is up, ends it."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lab.errors import LabError
from lab.inventory import Inventory
from lab.providers import Access, state
from lab.providers.control import Client

_MOST_MACHINES = 1000  # a Linux bridge has 1,023 ports


class Refused(LabError):
    """This computer's kernel refuses what the provider needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The lab address of each machine, and a socket that keeps them ours while it's open."""

    addresses: Mapping[str, str]
    guard: socket.socket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A provider whose machines are processes of this computer, see `supervisor`.

    `place` chooses a new lab's addresses; `prefix` is the length of the network's mask in bits;
    `explain` turns a step that the kernel refused, and its errno, into the user's message.
    """

    name: str
    inventory: Inventory
    isolated: bool
    prefix: int
    place: Callable[[], Places]
    explain: Callable[[str, int], Refused]

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Mapping[str, Access]]:
        if keep:
            self.up()
        client = self._find()
        if client is None:
            with self._own_lab() as machines:
                yield machines
            return
        with contextlib.closing(client), state.reserved(self._folder()):
            yield self._machines(client)

    def up(self) -> None:
        if (client := self._find()) is not None:
            client.close()
            return
        folder = self._folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _at(folder) as here, socket.socket(socket.AF_UNIX) as listener:
            Path(f"{here}/control").unlink(missing_ok=True)
            listener.bind(f"{here}/control")
            Path(f"{here}/control").chmod(0o600)
            listener.listen()
            (folder / "inventory").write_text(self.inventory.digest)
            with (folder / "log").open("w") as log:
                self._start(listener, log)
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

    @contextlib.contextmanager
    def _own_lab(self) -> Iterator[Mapping[str, Access]]:
        ours, theirs = socket.socketpair()
        with theirs:
            supervisor = self._start(theirs, None)
        client = Client(ours)
        try:
            yield self._machines(client)
        finally:
            client.close()
            supervisor.wait()

    def _start(self, control: socket.socket, log: IO[str] | None) -> subprocess.Popen[bytes]:
        if len(self.inventory.machines) > _MOST_MACHINES:
            raise LabError(
                f"an embedded lab has at most {_MOST_MACHINES} machines",
                where=str(self.inventory.path),
                cure=f"it names {len(self.inventory.machines)}: take some away",
            )
        places = self.place()
        spec = {
            "provider": self.name,
            "isolated": self.isolated,
            "prefix": self.prefix,
            "keep": [str(state.PROJECT), sys.prefix, sys.base_prefix],
            "machines": [
                {"name": machine.name, "address": places.addresses[machine.name]}
                for machine in self.inventory.machines
            ],
        }
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "lab.providers.supervisor", json.dumps(spec)],
            stdin=control.fileno(),
            stdout=log,
            stderr=log,
            cwd=state.PROJECT,
            start_new_session=True,
            pass_fds=[places.guard.fileno()] if places.guard else [],
        )
        if places.guard:
            places.guard.close()
        return supervisor

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
