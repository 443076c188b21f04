"""One machine of an embedded lab, seen from inside: from its fork to its SSH server.

What an isolated guest has of its own: network (one link, its lab address), process table, host
name, IPC, /proc, /sys, /dev, /tmp, /run and a home. All other files are those of the user's
computer, read-only; and as the capability to mount is given up before the first program runs, no
program can undo that. A plain guest (`loopback`) has a home and a work folder, nothing else.
"""

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import asyncssh
from pyroute2 import IPRoute

from lab import limits
from lab.providers import kernel
from lab.providers.sshserver import Server

WORK = "/tmp/lab"
_HOME = "/tmp/home"
LINK = "eth0"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# With their modes. In a /dev that is everybody's the kernel lets nobody but a device's owner open
# it to write as a shell does (may_create_in_sticky in fs/namei.c), and that is the computer's root.
_OWN = {"/tmp": "1777", "/run": "1777", "/dev": "755"}
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GIVEN_UP = (
    kernel.CAP_SYS_ADMIN,
    kernel.CAP_SYS_MODULE,
    kernel.CAP_SYS_RAWIO,
    kernel.CAP_SYS_BOOT,
    kernel.CAP_SYS_TIME,
    kernel.CAP_MKNOD,
)
_NEW = (
    kernel.CLONE_NEWNET
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A machine's place in the lab.

    `prefix` is the length in bits of the network's mask, `open_files` how many files each of its
    programs may have open at first (ulimit -Sn).
    """

    name: str
    address: str
    prefix: int
    listener: socket.socket
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    open_files: int


def fork_isolated(seat: Seat, keep: list[str]) -> socket.socket:
    """Fork a guest with namespaces of its own; return a line to it, at once.

    On it `pid_of` hears the guest's pid. It says that it's ready when the other side has put its
    link into its network and said go; or it says what the kernel refused (see `heard`). `keep`
    names folders that must stay in sight though they may lie below a folder that the guest has of
    its own.
    """
    line, far_line = socket.socketpair()
    # Pid 1 of a process table can't be the process that asked for it: one more stands between.
    between = os.fork()
    if between == 0:
        with _refusals_told(far_line):
            _enter_namespaces()
            pid = os.fork()
            if pid:
                _say(far_line, {"pid": pid, "between": os.getpid()})
                os._exit(0)
            _be_isolated(seat, keep, far_line)
    far_line.close()
    return line


def pid_of(line: socket.socket) -> int:
    """Return the pid of a guest that was forked, when it has its namespaces; OSError as `heard`."""
    said = heard(line)
    os.waitpid(said["between"], 0)
    return int(said["pid"])


def fork_plain(seat: Seat, folder: Path) -> int:  # noqa: RET503  # the child never returns
    """Fork a guest that is a plain process with its files in `folder`; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    kernel.die_with_parent(signal.SIGKILL)
    kernel.become_subreaper()
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    os.chdir(home)
    _keep_only([seat.listener.fileno()])
    _serve(seat, str(home))


def switch_off_ipv6() -> None:
    """In the caller's network namespace: address detection would keep a link waiting a second."""
    for scope in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if setting.exists():  # else the kernel has no IPv6
            setting.write_text("1")


def heard(line: socket.socket) -> dict[str, Any]:
    """Return what a guest says next; OSError with the refused step if that's what it says."""
    text = line.makefile("r").readline()
    answer: dict[str, Any] = (
        json.loads(text) if text else {"refused": "start a machine", "errno": 0}
    )
    if "refused" in answer:
        raise OSError(answer["errno"], answer["refused"])
    return answer


def _be_isolated(seat: Seat, keep: list[str], line: socket.socket) -> NoReturn:
    _keep_only([seat.listener.fileno(), line.fileno()])
    line.recv(1)
    _connect_link(seat)
    socket.sethostname(seat.name)
    _make_own_files(keep)
    kernel.drop_capabilities(*_GIVEN_UP)
    for folder in (_HOME, WORK):
        Path(folder).mkdir(mode=0o700)
    os.chdir(_HOME)
    _say(line, {"ready": True})
    line.close()
    os.dup2(0, 2)  # a program could open it through /proc: a file of the user's, or their terminal
    _serve(seat, _HOME)


def _serve(seat: Seat, home: str) -> NoReturn:
    limits.set_open_files(seat.open_files)
    Server(
        listener=seat.listener,
        host_key=seat.host_key,
        client_key=seat.client_key,
        environment=_environment(seat, home),
    ).serve_forever()
    os._exit(0)


def _environment(seat: Seat, home: str) -> dict[str, str]:
    """Of the user's shell only the places of programs are in it, behind those of every system."""
    return {
        "HOME": home,
        "HOSTNAME": seat.name,
        "LANG": "C.UTF-8",
        "LOGNAME": "root",
        "PATH": f"{_PATH}:{os.environ.get('PATH', '')}".rstrip(":"),
        "SHELL": "/bin/sh",
        "USER": "root",
    }


@contextlib.contextmanager
def _refusals_told(line: socket.socket) -> Any:
    """End the process whatever happens, after telling what the kernel refused."""
    try:
        yield
    except OSError as error:
        _say(line, {"refused": error.strerror or str(error), "errno": error.errno})
    finally:
        os._exit(1)


def _say(line: socket.socket, message: dict[str, Any]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


def _keep_only(descriptors: list[int]) -> None:
    """Close the other guests' sockets, and all else that was inherited but stderr."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    edges = [2, *sorted(descriptors), resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def _enter_namespaces() -> None:
    kernel.unshare(_NEW)
    switch_off_ipv6()


def _connect_link(seat: Seat) -> None:
    with IPRoute() as netlink:
        for name in ("lo", LINK):
            netlink.link("set", index=socket.if_nametoindex(name), state="up")
        link = socket.if_nametoindex(LINK)
        netlink.addr("add", index=link, address=seat.address, prefixlen=seat.prefix)


def _make_own_files(keep: list[str]) -> None:
    no_programs = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # A tmpfs will hide these; a descriptor from before still leads to them.
    held = {path: os.open(path, os.O_PATH) for path in keep if _lies_in_own(path)}
    devices = {name: os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}
    kernel.mount("proc", "/proc", "proc", no_programs)
    # Some containers allow no new /sys; theirs names other links, and harms nothing.
    with contextlib.suppress(PermissionError):
        kernel.mount("sysfs", "/sys", "sysfs", no_programs)
    kernel.make_tree_readonly("/")
    for folder, mode in _OWN.items():
        kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID, f"mode={mode}")
    for path, descriptor in held.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        _bind(descriptor, path)
    _fill_dev(devices)


def _lies_in_own(path: str) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in _OWN)


def _fill_dev(devices: dict[str, int]) -> None:
    for name, descriptor in devices.items():
        Path(f"/dev/{name}").touch()
        _bind(descriptor, f"/dev/{name}")
    for folder in ("pts", "shm"):
        Path(f"/dev/{folder}").mkdir()
    kernel.mount("devpts", "/dev/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666")
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        Path(f"/dev/{name}").symlink_to(target)


def _bind(descriptor: int, target: str) -> None:
    kernel.mount(f"/proc/self/fd/{descriptor}", target, flags=kernel.MS_BIND | kernel.MS_REC)
    os.close(descriptor)
