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
  and mounts are gone. It dies with this process, and this process ends when its control connection
  does. There is nothing to clean up, and no command for it.

The control connection (see `control`) is the descriptor that `sys.argv[1]` names.
"""

import contextlib
import ipaddress
import json
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncssh
from pyroute2 import NetlinkError

from lab import launcher
from lab.providers import guest, kernel, relay
from lab.providers.blocks import Block
from lab.providers.control import Control
from lab.providers.guests import IsolatedGuests, PlainGuests


def main() -> None:
    """Own one lab until its control connection ends. What it is comes as JSON on standard input."""
    control = Control(socket.socket(fileno=int(sys.argv[1])))
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    text = sys.stdin.read()
    if not text:  # prepared, and not needed
        return
    spec = json.loads(text)
    _allow_many_files()
    block = None if spec["isolated"] else Block(spec["network"])
    seats = _seats(spec, block, client_key)
    with _scratch_folder(needed=not spec["isolated"]) as scratch:
        lab = Lab(
            provider=spec["provider"],
            seats=seats,
            visible=spec["visible"],
            scratch=scratch,
            owner=os.getpid(),
        )
        try:
            if scratch is None:
                _enter_namespaces()
        except OSError as error:
            control.refuse(error)
            return
        first = os.fork()
        if first == 0:
            lab.own(control)
        control.forget()
        relay.carry({seat.listener: seat.line for seat in seats}, until=os.pidfd_open(first))
        os.waitpid(first, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The lab before its first guest is there.

    `scratch` has the files of plain guests, `owner` is the supervisor's pid.
    """

    provider: str
    seats: list[guest.Seat]
    visible: list[str]
    scratch: Path | None
    owner: int

    def own(self, control: Control) -> NoReturn:
        """Be the first process: seat the guests, answer the control connection, end them all."""
        status = 1
        try:
            kernel.die_with_parent(signal.SIGKILL)
            kernel.become_subreaper()
            guests = (
                PlainGuests(self.seats, self.scratch)
                if self.scratch
                else IsolatedGuests(self.seats, self.visible)
            )
        except OSError as error:
            control.refuse(error)
        except NetlinkError as error:
            control.refuse(OSError(error.code, f"make the lab's links: {error}"))
        else:
            control.serve(self._description(), guests.obey)
            status = 0
        finally:
            if self.scratch:
                launcher.end_descendants()
            os._exit(status)

    def _description(self) -> dict[str, Any]:
        client_key = self.seats[0].client_key.export_private_key("openssh").decode()
        return {
            "provider": self.provider,
            "supervisor": self.owner,
            "client_key": client_key,
            "machines": {seat.name: self._access(seat) for seat in self.seats},
        }

    def _access(self, seat: guest.Seat) -> dict[str, Any]:
        return {
            "address": seat.address,
            "port": seat.listener.getsockname()[1],
            "host_key": seat.host_key.export_public_key("openssh").decode().strip(),
            "work": str(self.scratch / seat.name / "work") if self.scratch else guest.WORK,
        }


def _seats(
    spec: dict[str, Any], block: Block | None, client_key: asyncssh.SSHKey
) -> list[guest.Seat]:
    lines = {name: socket.socketpair(type=socket.SOCK_DGRAM) for name in spec["machines"]}
    return [
        guest.Seat(
            name=name,
            line=lines[name][0],
            far_line=lines[name][1],
            address=block.address(address) if block else address,
            prefix=ipaddress.IPv4Network(spec["network"]).prefixlen,
            listener=socket.create_server(("127.0.0.1", 0), backlog=128),
            host_key=asyncssh.generate_private_key("ssh-ed25519"),
            client_key=client_key,
        )
        for name, address in spec["machines"].items()
    ]


def _allow_many_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def _scratch_folder(*, needed: bool) -> Iterator[Path | None]:
    if not needed:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="push-pull-lab-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def _enter_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(
        kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    )
    kernel.map_to_root(uid, gid)
    # A program that could make a user namespace would have every capability in it.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    guest.switch_off_ipv6()


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing is left to tidy, and an interpreter takes 50 ms for that
