"""The process that owns an embedded lab; `embedded` starts it.

Who holds what, and what dies with whom:

- This process opens one listening socket per machine on 127.0.0.1, in the network namespace of the
  user's computer, and carries their connections to the machines (see `relay`). A socket stays where
  it was made: so a machine is reached for control.
- For `namespaces` it then enters a user namespace (as root too: one path, not two) with network,
  mounts and processes of its own, and forks the *first* process of that process table. That one
  makes a bridge and forks one guest per machine, each in namespaces of its own; a guest's link into
  the bridge is the only wire it has. No private address exists outside of these namespaces.
- For `loopback` the first process forks its guests as plain processes.
- When the first process dies, the kernel kills every process below it, and then namespaces, links
  and mounts are gone. It dies with this process, and this process ends when the starter's control
  connection does, unless the lab was to be kept. There is nothing to clean up, and no command.
- For `loopback` the kernel does less: the first process notices that this one has died, kills all
  that is below it and removes the machines' files; this one does that if the first one was killed.

The arguments are the descriptors of the starter's control connection and, for a lab that others may
use, of its listening socket (see `control`). `starting` gives it an environment of its own.
"""

import ipaddress
import json
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncssh
from pyroute2 import NetlinkError

from lab.core import limits
from lab.machines.agent import launcher
from lab.machines.providers.embedded import guest, kernel, relay
from lab.machines.providers.embedded.address_blocks import Block
from lab.machines.providers.embedded.control import Control
from lab.machines.providers.embedded.guests import IsolatedGuests, PlainGuests


def main() -> None:
    """Own one lab until its end; its description comes as JSON on standard input."""
    starter, *others = [socket.socket(fileno=int(argument)) for argument in sys.argv[1:]]
    control = Control(starter, others[0] if others else None)
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    if text := sys.stdin.read():  # else it was prepared, and not needed
        _own_lab(json.loads(text), control, client_key)
    os._exit(0)  # nothing is left to tidy, and an interpreter takes 50 ms for that


def _own_lab(spec: dict[str, Any], control: Control, client_key: asyncssh.SSHKey) -> None:
    isolated = spec["isolated"]
    open_files = limits.allow(len(spec["machines"]))
    try:
        lab = Lab(
            provider=spec["provider"],
            guest_specs=_guest_specs(spec, client_key, open_files),
            visible=spec["visible"],
            scratch=None if isolated else _scratch_folder(),
            owner=os.getpid(),
            owner_ends=os.pidfd_open(os.getpid()),
        )
        if isolated:
            _enter_namespaces()
    except OSError as error:
        control.refuse(error)
        return
    kernel.become_subreaper()
    first = os.fork()
    if first == 0:
        lab.own(control)
    control.forget()
    carried = {guest_spec.listener: guest_spec.line for guest_spec in lab.guest_specs}
    relay.carry(carried, until=os.pidfd_open(first))
    os.waitpid(first, 0)
    lab.clean_up()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The lab before its first guest is there.

    `scratch` is the folder for the files of plain guests, `owner` the supervisor's pid; the
    descriptor `owner_ends` turns readable when the supervisor has ended.
    """

    provider: str
    guest_specs: list[guest.GuestSpec]
    visible: list[str]
    scratch: Path | None
    owner: int
    owner_ends: int

    def own(self, control: Control) -> NoReturn:
        """Be the first process: guest_spec the guests, answer control connections, end them all."""
        status = 1
        try:
            guests = self._seat()
        except OSError as error:
            control.refuse(error)
        except NetlinkError as error:
            control.refuse(OSError(error.code, f"make the lab's links: {error}"))
        except Exception:  # `finally` leaves at once, and would leave nothing to look at
            traceback.print_exc()
        else:
            key = self.guest_specs[0].client_key.export_private_key("openssh").decode()
            ends = self.owner_ends if self.scratch else None
            control.serve(self._description(), key, guests.obey, ends)
            status = 0
        finally:
            self.clean_up()
            os._exit(status)

    def clean_up(self) -> None:
        """Leave nothing of plain guests; of isolated ones the kernel leaves nothing."""
        if self.scratch:
            launcher.end_descendants()
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _seat(self) -> PlainGuests | IsolatedGuests:
        kernel.become_subreaper()
        if self.scratch:
            self.scratch.mkdir(mode=0o700)
            return PlainGuests(self.guest_specs, self.scratch)
        kernel.die_with_parent(signal.SIGKILL)
        ended = select.poll()  # select() takes no descriptor from 1,024 on
        ended.register(self.owner_ends, select.POLLIN)
        if ended.poll(0):  # it has died before that
            os._exit(1)
        return IsolatedGuests(self.guest_specs, self.visible)

    def _description(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            "supervisor": self.owner,
            "machines": {
                guest_spec.name: self._access(guest_spec) for guest_spec in self.guest_specs
            },
        }

    def _access(self, guest_spec: guest.GuestSpec) -> dict[str, Any]:
        return {
            "address": guest_spec.address,
            "port": guest_spec.listener.getsockname()[1],
            "host_key": guest_spec.host_key.export_public_key("openssh").decode().strip(),
            "work": str(self.scratch / guest_spec.name / "work") if self.scratch else guest.WORK,
        }


def _guest_specs(
    spec: dict[str, Any], client_key: asyncssh.SSHKey, open_files: int
) -> list[guest.GuestSpec]:
    block = None if spec["isolated"] else Block(spec["network"])
    lines = {name: socket.socketpair(type=socket.SOCK_DGRAM) for name in spec["machines"]}
    return [
        guest.GuestSpec(
            name=name,
            line=lines[name][0],
            far_line=lines[name][1],
            address=block.address(address) if block else address,
            prefix=ipaddress.IPv4Network(spec["network"]).prefixlen,
            listener=socket.create_server(("127.0.0.1", 0), backlog=128),
            host_key=asyncssh.generate_private_key("ssh-ed25519"),
            client_key=client_key,
            open_files=open_files,
        )
        for name, address in spec["machines"].items()
    ]


def _scratch_folder() -> Path:
    """Return where the first process makes a folder: both processes must know it to remove it."""
    return Path(tempfile.gettempdir()) / f"push-pull-lab-{secrets.token_hex(8)}"


def _enter_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(
        kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    )
    kernel.map_to_root(uid, gid)
    # A program that could make a user namespace would have every capability in it.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    guest.switch_off_ipv6()
