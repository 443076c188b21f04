"""The process that owns an embedded lab; early_start.py starts it.

Resources and lifetimes:

- This process opens a listening socket per machine on 127.0.0.1, in the computer's network
  namespace, and relays connections to the machines (see relay.py). A socket stays in the namespace
  where it was created, so this is how control connections reach a machine.
- For `namespaces` it then enters a user namespace (even as root: one path, not two) with its own
  network, mounts and processes, and forks pid 1 of that PID namespace, the *init* process. Init
  creates a bridge and forks a guest per machine, each in its own namespaces; a guest's link to the
  bridge is its only network. No private address exists outside of these namespaces.
- For `loopback` init forks its guests as plain processes.
- When init dies, the kernel kills every process below it, and namespaces, links and mounts go with
  them. Init dies with this process, and this process ends when the starter's control connection
  does, unless the lab was asked to keep running. Nothing remains to clean up, so no command does.
- For `loopback` the kernel does less: init notices that this process died, kills everything below
  it and removes the machines' files; this process does the same if init was killed.

The arguments are the descriptors of the starter's control connection and, for a shared lab, of its
listening socket and of an inotify(7) instance on that socket's folder (see control.py).
early_start.py gives this process a clean environment.
"""

import contextlib
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

from pushpull.core import limits
from pushpull.machines.agent import launcher
from pushpull.machines.providers.embedded import guest, kernel, relay
from pushpull.machines.providers.embedded.address_blocks import Block
from pushpull.machines.providers.embedded.control import Control
from pushpull.machines.providers.embedded.guests import IsolatedGuests, PlainGuests

_PLACES = 1024  # of connections in a machine's hash table; there may be more connections


def main() -> None:
    """Own one lab until its end; standard input carries its description as JSON."""
    starter, *shared = map(int, sys.argv[1:])
    control = Control(socket.socket(fileno=starter), *shared)
    client_key = asyncssh.generate_private_key("ssh-ed25519")
    if text := sys.stdin.read():  # empty if the prepared supervisor was not needed
        _own_lab(json.loads(text), control, client_key)
    os._exit(0)  # nothing is left to clean up, and the interpreter would take 50 ms for it


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
    init = os.fork()
    if init == 0:
        lab.own(control)
    control.forget()
    carried = {guest_spec.listener: guest_spec.line for guest_spec in lab.guest_specs}
    relay.carry(carried, until=os.pidfd_open(init))
    os.waitpid(init, 0)
    lab.clean_up()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The lab before its first guest exists.

    `scratch` is the folder for the files of plain guests, `owner` the supervisor's pid; the
    descriptor `owner_ends` becomes readable when the supervisor has ended.
    """

    provider: str
    guest_specs: list[guest.GuestSpec]
    visible: list[str]
    scratch: Path | None
    owner: int
    owner_ends: int

    def own(self, control: Control) -> NoReturn:
        """Be the init process: start the guests, answer control connections, end everything."""
        status = 1
        description = self._description()
        for guest_spec in self.guest_specs:  # neither init nor a guest needs the supervisor's ends
            guest_spec.listener.close()
            guest_spec.line.close()
        try:
            guests = self._start_guests()
        except OSError as error:
            control.refuse(error)
        except Exception:  # print it now: `finally` exits at once
            traceback.print_exc()
        else:
            key = self.guest_specs[0].client_key.export_private_key("openssh").decode()
            ends = self.owner_ends if self.scratch else None
            control.serve(description, key, guests.obey, ends)
            status = 0
        finally:
            self.clean_up()
            os._exit(status)

    def clean_up(self) -> None:
        """Remove everything of plain guests; the kernel removes isolated ones."""
        if self.scratch:
            launcher.end_descendants()
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _start_guests(self) -> PlainGuests | IsolatedGuests:
        kernel.become_subreaper()
        if self.scratch:
            self.scratch.mkdir(mode=0o700)
            return PlainGuests(self.guest_specs, self.scratch)
        kernel.die_with_parent(signal.SIGKILL)
        ended = select.poll()  # select() can't handle descriptors from 1,024 on
        ended.register(self.owner_ends, select.POLLIN)
        if ended.poll(0):  # the supervisor died before the call above
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
            prefix=ipaddress.ip_network(spec["network"]).prefixlen,
            listener=socket.create_server(("127.0.0.1", 0), backlog=128),
            host_key=asyncssh.generate_private_key("ssh-ed25519"),
            client_key=client_key,
            open_files=open_files,
            monotonic_ahead_s=spec["monotonic_ahead_s"].get(name, 0),
        )
        for name, address in spec["machines"].items()
    ]


def _scratch_folder() -> Path:
    """Choose the folder that init creates: both processes must know it to remove it."""
    return Path(tempfile.gettempdir()) / f"push-pull-lab-{secrets.token_hex(8)}"


def _enter_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(
        kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    )
    kernel.map_to_root(uid, gid)
    # A program that could create a user namespace would have every capability in it.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    # Each machine gets a small table of its own (Linux 6.1, ip-sysctl.rst). In the computer's the
    # kernel passes 100,000s of empty places whenever a machine asks for its connections.
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/tcp_child_ehash_entries").write_text(str(_PLACES))
    guest.switch_off_ipv6()
