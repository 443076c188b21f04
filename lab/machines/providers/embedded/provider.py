"""The user's side of an embedded lab: starts its supervisor, finds a running one, ends it."""

import abc
import contextlib
import ipaddress
import os
import select
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pushpull.core import limits
from pushpull.core.errors import LabError
from pushpull.core.faults.clock import CORRECT_CLOCK, SET_CLOCK
from pushpull.core.faults.fault import Fault
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from pushpull.machines import installer, lab_folder
from pushpull.machines.providers.base import NETWORK, Access, Machines, Provider, Refused
from pushpull.machines.providers.embedded import kernel
from pushpull.machines.providers.embedded.control import SOCKET, Client
from pushpull.machines.providers.embedded.early_start import Supervisor, take_prepared
from pushpull.machines.providers.embedded.own_folders import hides_own

# A machine's setting: how many seconds its monotonic clock is ahead of the computer's.
AHEAD = "monotonic_ahead_s"
_MOST_MACHINES = 1000  # a Linux bridge has 1,023 ports


class IsolatedMachines(Machines):
    """Machines in namespaces; their supervisor carries out faults."""

    faults = NETWORK | {
        CUT_POWER,
        SHUT_DOWN,
        POWER_ON,
        CUT_CABLE,
        MEND_CABLE,
        SET_CLOCK,
        CORRECT_CLOCK,
    }

    def __init__(self, access: Mapping[str, Access], client: Client) -> None:
        super().__init__(access)
        self._client = client

    def do(self, fault: Fault, machine: str) -> None:
        answer = self._client.ask(fault.name, machine)
        if "refused" in answer:
            raise LabError(
                f"the kernel refuses to {fault}: {answer['refused']}", where=f"machine {machine}"
            )


class PlainMachines(Machines):
    """Machines that share this computer's network, which the lab must not change, and its power."""

    faults: frozenset[Fault] = frozenset()


class Embedded(Provider):
    """A provider whose machines are processes of this computer, see supervisor.py.

    `isolated` machines are namespaces; `widest` is the shortest network mask, in bits, that the
    provider has room for.
    """

    makes_machines = True
    isolated: ClassVar[bool]
    widest: ClassVar[int] = 0

    @abc.abstractmethod
    def explain(self, step: str, number: int) -> Refused:
        """Turn a step that the kernel refused, and its errno, into the user's message."""

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        if keep:
            self.up()
        with self._found() as found:
            if found is not None:
                with lab_folder.reserved(self._folder()):
                    yield self._machines(found.client, found.description, self._client_key())
                return
        with self._own_lab() as machines:
            yield machines

    @contextlib.contextmanager
    def look(self) -> Iterator[Machines]:
        with self._found() as found:
            if found is None:
                raise LabError("no lab is up", hint="bring one up: fab up")
            yield self._machines(found.client, found.description, self._client_key())

    def up(self) -> None:
        folder = self._folder()
        with lab_folder.changing(folder), self._found() as found:
            if found is None:
                self._bring_up(folder)

    def down(self) -> bool:
        if not self._folder().exists():
            return False
        with lab_folder.changing(self._folder()), self._found() as found:
            if found is None:
                return False
            supervisor = os.pidfd_open(found.description["supervisor"])
            found.client.ask("down")
            ended = select.poll()  # select() can't handle descriptors from 1,024 on
            ended.register(supervisor, select.POLLIN)
            ended.poll()
            os.close(supervisor)
            for name in (SOCKET, "key"):
                (self._folder() / name).unlink(missing_ok=True)
        return True

    def status(self) -> Mapping[str, str]:
        with self._found() as found:
            answer = {} if found is None else found.client.ask("status")
        states: dict[str, str] = answer.get("machines", {})
        return states or {machine.name: "not up" for machine in self.inventory.machines}

    def is_shared(self) -> bool:
        with self._found() as found:
            return found is not None

    def kept_in(self) -> Path | None:
        return self._folder() if self.is_shared() else None

    def _bring_up(self, folder: Path) -> None:
        """Start a supervisor that outlives us, unless we end before its lab is complete."""
        spec = self._spec()
        (folder / SOCKET).unlink(missing_ok=True)
        (folder / "inventory").write_text(self.inventory.digest)
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            with lab_folder.at(folder) as here:
                listener.bind(f"{here}/{SOCKET}")
            (folder / SOCKET).chmod(0o600)
            listener.listen()
            shared = [listener.fileno()]
            with contextlib.suppress(OSError):  # else the lab only misses its folder's removal
                shared.append(kernel.removals_in(str(folder)))
                stack.callback(os.close, shared[-1])
            supervisor = Supervisor(shared, stack.enter_context((folder / "log").open("w")))
            client = stack.enter_context(contextlib.closing(Client(supervisor.connection)))
            try:
                supervisor.begin(spec)
                description = self._described(client.hear(), log=folder / "log")
                lab_folder.write_secret(folder / "key", description["client_key"])
                client.ask("keep")
            except BaseException:
                supervisor.kill()
                raise

    @contextlib.contextmanager
    def _own_lab(self) -> Iterator[Machines]:
        spec = self._spec()
        supervisor = take_prepared()
        client = Client(supervisor.connection)
        try:
            supervisor.begin(spec)
            description = self._described(client.hear())
            yield self._machines(client, description, description["client_key"])
        finally:
            client.close()
            supervisor.end()

    def _machines(self, client: Client, description: dict[str, Any], client_key: str) -> Machines:
        provides = set[str]()  # they all see the same programs
        access = {
            machine.name: _access(
                machine.name,
                machine.roles,
                description,
                client_key,
                provides,
                isolated=self.isolated,
            )
            for machine in self.inventory.machines
        }
        return IsolatedMachines(access, client) if self.isolated else PlainMachines(access)

    def _spec(self) -> dict[str, Any]:
        limits.require(len(self.inventory.machines))
        if len(self.inventory.machines) > _MOST_MACHINES:
            raise LabError(
                f"an embedded lab has at most {_MOST_MACHINES} machines",
                where=str(self.inventory.path),
                hint=f"it names {len(self.inventory.machines)}: remove some",
            )
        network = ipaddress.ip_network(self.inventory.network)
        if network.version == 6 and not self.isolated:
            raise LabError(
                f"the provider '{self.name}' has IPv4 addresses only, not {network}",
                where=str(self.inventory.path),
                hint="use --provider namespaces, or an IPv4 `network`",
            )
        if network.prefixlen < self.widest:
            raise LabError(
                f"the provider '{self.name}' has room for a /{self.widest} network,"
                f" not for {network}",
                where=str(self.inventory.path),
                hint=f"make `network` a /{self.widest} or smaller",
            )
        return {
            "provider": self.name,
            "isolated": self.isolated,
            "network": self.inventory.network,
            "visible": [sys.prefix, sys.base_prefix, *_implementations(), *self._visible()],
            "machines": {machine.name: machine.address for machine in self.inventory.machines},
            "monotonic_ahead_s": {
                machine.name: ahead
                for machine in self.inventory.machines
                if (ahead := machine.settings.get(self.name, {}).get(AHEAD))
            },
        }

    def _visible(self) -> list[str]:
        """Return the folders that machines see besides those of the system."""
        settings = self.inventory.settings.get(self.name, {})
        named = [(each, str(self.inventory.path)) for each in _folders(settings.get("visible", ""))]
        named += [(each, "LAB_VISIBLE") for each in _folders(os.environ.get("LAB_VISIBLE", ""))]
        for folder, where in named:
            if not folder.is_dir() or hides_own(str(folder)):
                raise LabError(
                    f"{folder} can't be visible on machines",
                    where=where,
                    hint="name existing folders that contain none of a machine's private ones"
                    " (/tmp, /run, /dev, /proc, /sys)",
                )
        return [str(folder) for folder, _ in named]

    @contextlib.contextmanager
    def _found(self) -> Iterator["_Found | None"]:
        """Connect to a lab that is up; None if there is none.

        Raises LabError if this user or inventory may not use that lab.
        """
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                with lab_folder.at(self._folder()) as here:
                    connection.connect(f"{here}/{SOCKET}")
            except (FileNotFoundError, ConnectionRefusedError):
                yield None
                return
            if (self._folder() / "inventory").read_text() != self.inventory.digest:
                raise LabError(
                    "the running lab was made from another version of this file",
                    where=str(self.inventory.path),
                    hint="restore the old version, then `fab down`",
                )
            with contextlib.closing(Client(connection)) as client:
                description = client.greet()
                if "refused" in description:
                    raise LabError(
                        f"the running lab refuses access: {description['refused']}",
                        where=str(self._folder()),
                        hint="use it as the same user, and in the same container, as `fab up`",
                    )
                yield _Found(client, description) if description else None

    def _described(self, said: dict[str, Any], log: Path | None = None) -> dict[str, Any]:
        """Return a lab's description; LabError if the answer is a refusal, or empty."""
        if "refused" in said:
            raise limits.too_many_files(said["errno"]) or self.explain(
                said["refused"], said["errno"]
            )
        if not said:
            raise LabError(
                "the lab's supervisor ended before its machines were up",
                hint=f"see its log: {log}" if log else "",
            )
        return said

    def _client_key(self) -> str:
        return (self._folder() / "key").read_text()

    def _folder(self) -> Path:
        return lab_folder.folder(self.name, self.inventory)


@dataclass(frozen=True, slots=True)
class _Found:
    """A running lab: our connection to it, and its description."""

    client: Client
    description: dict[str, Any]


def _access(
    machine: str,
    roles: tuple[str, ...],
    described: dict[str, Any],
    client_key: str,
    provides: set[str],
    *,
    isolated: bool,
) -> Access:
    there = described["machines"][machine]
    return Access(
        provider=described["provider"],
        machine=machine,
        roles=roles,
        address=there["address"],
        host="127.0.0.1",
        port=there["port"],
        user="root",
        key=client_key,
        host_key=there["host_key"],
        open_network=not isolated,
        work=there["work"],
        # A machine lacks the folder before a `..`; a virtual environment needs its own links.
        python=os.path.abspath(sys.executable),  # noqa: PTH100
        implementations=str(installer.root()),
        provides=provides,
    )


def _implementations() -> list[str]:
    """Return the folder of what is installed for the lab's programs, now or while the lab is up."""
    root = installer.root()
    with contextlib.suppress(OSError):  # nothing can be installed there, so nothing is missed
        root.mkdir(parents=True, exist_ok=True)
    return [str(root)] if os.access(root, os.X_OK) else []


def _folders(text: str) -> list[Path]:
    """Return the folders that a text names as PATH does, with : between them."""
    return [Path(part).expanduser() for part in text.split(":") if part]
