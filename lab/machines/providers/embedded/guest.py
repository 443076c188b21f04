"""One machine of an embedded lab, from its fork to its SSH server.

An isolated guest has its own network (one link, its lab address), process table, host name, IPC,
/proc, /sys, /dev, /tmp, /run and home. It sees the computer's system programs and settings and the
lab's Python, read-only. No program can undo that, as the guest gives up the capability to mount
before the first program runs. A plain guest (`loopback`) has only a home and a work folder.
"""

import contextlib
import fcntl
import itertools
import json
import os
import resource
import signal
import socket
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncssh

from pushpull.core import limits
from pushpull.machines.providers.embedded import kernel, machine_root
from pushpull.machines.providers.embedded.netlink import Netlink
from pushpull.machines.providers.embedded.ssh_server import Server

WORK = "/tmp/lab"
_HOME = "/tmp/home"
LINK = "eth0"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GIVEN_UP = (
    kernel.CAP_SYS_ADMIN,
    kernel.CAP_SYS_PTRACE,  # with it, any program could open the server's descriptors
    kernel.CAP_SYS_MODULE,
    kernel.CAP_SYS_RAWIO,
    kernel.CAP_SYS_BOOT,
    kernel.CAP_SYS_TIME,
    kernel.CAP_MKNOD,
)
_NEW = kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSpec:
    """What a guest is made from.

    `prefix` is the length of the network's mask in bits; `open_files` is the initial limit on open
    files of its programs (ulimit -Sn); `monotonic_ahead_s` is how far ahead of the computer's these
    see the monotonic clock.
    """

    name: str
    address: str
    prefix: int
    listener: socket.socket
    line: socket.socket
    far_line: socket.socket
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    open_files: int
    monotonic_ahead_s: int


@dataclass(frozen=True, slots=True)
class Plug:
    """Where the link of an isolated guest ends: the bridge's index, and the name of that end.

    A guest locks the file `turn` while it configures its network. The kernel does such things one
    by one anyway, but spins in some waits for its turn (`rtnl_trylock`, `restart_syscall`).
    """

    bridge: int
    name: str
    turn: int


def fork_isolated(
    guest_spec: GuestSpec, plug: Plug, visible: list[str], answers: socket.socket
) -> int:
    """Fork a guest that makes its own namespaces and link; return its pid.

    `visible` are the folders that it sees besides the system's. It sends a line to `answers` when
    it is ready, or what the kernel refused (see `wait_ready`).
    """
    pid = kernel.fork_as_init()
    if pid == 0:
        with _refusals_reported(answers):
            _be_isolated(guest_spec, plug, visible, answers)
    return pid


def wait_ready(guests: int, answers: socket.socket) -> None:
    """Wait until so many guests are ready; OSError with the step, if the kernel refused one."""
    with answers.makefile("r") as lines:
        for _ in range(guests):
            text = lines.readline()  # the end: they have all answered, or died
            answer = json.loads(text) if text else {"refused": "start a machine", "errno": 0}
            if "refused" in answer:
                raise OSError(answer["errno"], answer["refused"])


def fork_plain(guest_spec: GuestSpec, folder: Path) -> int:
    """Fork a guest as a plain process with its files in `folder`; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            _be_plain(guest_spec, folder)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # only the parent returns to the caller
    return pid


def _be_plain(guest_spec: GuestSpec, folder: Path) -> NoReturn:
    kernel.die_with_parent(signal.SIGKILL)
    kernel.become_subreaper()
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    os.chdir(home)
    _keep_only([guest_spec.far_line.fileno()])
    _serve(guest_spec, str(home))


def switch_off_ipv6() -> None:
    """In the caller's network namespace: address detection would delay a link by a second."""
    _set_ipv6("all", disable_ipv6=1)  # for new links too


def _use_ipv6() -> None:
    """In the caller's network namespace: links have only the addresses that the lab gives them.

    They keep these while they are down.
    """
    for links in ("all", "default"):
        _set_ipv6(links, accept_ra=0, autoconf=0, accept_dad=0, keep_addr_on_down=1)


def _set_ipv6(links: str, **settings: int) -> None:
    for name, value in settings.items():
        setting = Path("/proc/sys/net/ipv6/conf", links, name)
        if setting.exists():  # a kernel may have no IPv6
            setting.write_text(str(value))


def _be_isolated(
    guest_spec: GuestSpec, plug: Plug, visible: list[str], answers: socket.socket
) -> NoReturn:
    _keep_only([guest_spec.far_line.fileno(), answers.fileno(), plug.turn])
    _enter_network(guest_spec, plug)
    socket.sethostname(guest_spec.name)
    if guest_spec.monotonic_ahead_s:
        kernel.set_clocks_ahead(guest_spec.monotonic_ahead_s)
    machine_root.add_own(guest_spec.name, visible)
    kernel.drop_capabilities(*_GIVEN_UP)
    kernel.forbid_inspection()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pid 1 still ignores it, its programs don't
    for folder in (_HOME, WORK):
        Path(folder).mkdir(mode=0o700)
    os.chdir(_HOME)
    _say(answers, {"ready": True})
    answers.close()
    os.dup2(0, 2)  # programs could open stderr through /proc, a file or terminal of the user
    _serve(guest_spec, _HOME)


def _serve(guest_spec: GuestSpec, home: str) -> NoReturn:
    limits.set_open_files(guest_spec.open_files)
    Server(
        line=guest_spec.far_line,
        host_key=guest_spec.host_key,
        client_key=guest_spec.client_key,
        environment=_environment(guest_spec, home),
    ).serve_forever()
    os._exit(0)


def _environment(guest_spec: GuestSpec, home: str) -> dict[str, str]:
    """Return the environment of programs: only PATH comes from the user's shell, at the end."""
    return {
        "HOME": home,
        "HOSTNAME": guest_spec.name,
        "LANG": "C.UTF-8",
        "LOGNAME": "root",
        "PATH": f"{_PATH}:{os.environ.get('PATH', '')}".rstrip(":"),
        "SHELL": "/bin/sh",
        "USER": "root",
    }


@contextlib.contextmanager
def _refusals_reported(answers: socket.socket) -> Any:
    """End the process in any case; first report what the kernel refused."""
    try:
        yield
    except OSError as error:
        _say(answers, {"refused": error.strerror or str(error), "errno": error.errno})
    finally:
        os._exit(1)


def _say(answers: socket.socket, message: dict[str, Any]) -> None:
    answers.sendall(json.dumps(message).encode() + b"\n")


def _keep_only(descriptors: list[int]) -> None:
    """Close everything inherited except `descriptors` and stderr, such as other guests' sockets."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    edges = [2, *sorted(descriptors), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def _enter_network(guest_spec: GuestSpec, plug: Plug) -> None:
    """Enter new namespaces, with a link from there to the lab's bridge."""
    with Netlink() as outside:
        kernel.unshare(_NEW)
        fcntl.lockf(plug.turn, fcntl.LOCK_EX)
        if ":" in guest_spec.address:
            _use_ipv6()
        else:
            switch_off_ipv6()
        outside.add_veth(plug.name, plug.bridge, LINK, os.getpid())
    with Netlink() as inside:
        for name in ("lo", LINK):
            inside.set_link(name, up=True)
        inside.add_address(LINK, guest_spec.address, guest_spec.prefix)
    os.close(plug.turn)  # and unlock it
