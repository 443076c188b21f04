"""One machine of an embedded lab, seen from inside: from its fork to its SSH server.

What an isolated guest has of its own: network (one link, its lab address), process table, host
name, IPC, /proc, /sys, /dev, /tmp, /run and a home. Of the user's computer it sees the system's
programs and settings and the lab's Python, read-only; and as the capability to mount is given up
before the first program runs, no program can undo that. A plain guest
(`loopback`) has a home and a work folder, nothing else.
"""

import contextlib
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
from pyroute2 import IPRoute

from lab.core import limits
from lab.machines.providers.embedded import kernel
from lab.machines.providers.embedded.own_folders import OWN
from lab.machines.providers.embedded.ssh_server import Server

WORK = "/tmp/lab"
_HOME = "/tmp/home"
LINK = "eth0"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ROOT = "/tmp"  # where the new root is put together
_READONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
# What holds programs and their settings on the known systems; as a link where it is one.
_SYSTEM = (
    *("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/nix", "/opt", "/sbin", "/snap", "/usr"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GIVEN_UP = (
    kernel.CAP_SYS_ADMIN,
    kernel.CAP_SYS_PTRACE,  # else no program could be kept from the server's descriptors
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
class GuestSpec:
    """A machine's place in the lab.

    `prefix` is the length in bits of the network's mask, `open_files` how many files each of its
    programs may have open at first (ulimit -Sn).
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


def fork_isolated(guest_spec: GuestSpec, visible: list[str]) -> socket.socket:
    """Fork a guest with namespaces of its own; return a line to it, at once.

    On it `pid_of` hears the guest's pid. It says that it's ready when the other side has put its
    link into its network and said go; or it says what the kernel refused (see `heard`). `visible`
    names the folders that it sees beside the system's.
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
            _be_isolated(guest_spec, visible, far_line)
    far_line.close()
    return line


def pid_of(line: socket.socket) -> int:
    """Return the pid of a guest that was forked, when it has its namespaces; OSError as `heard`."""
    said = heard(line)
    os.waitpid(said["between"], 0)
    return int(said["pid"])


def fork_plain(guest_spec: GuestSpec, folder: Path) -> int:
    """Fork a guest that is a plain process with its files in `folder`; return its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            _be_plain(guest_spec, folder)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # what follows in the caller is for its parent alone
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


def _be_isolated(guest_spec: GuestSpec, visible: list[str], line: socket.socket) -> NoReturn:
    _keep_only([guest_spec.far_line.fileno(), line.fileno()])
    line.recv(1)
    _connect_link(guest_spec)
    socket.sethostname(guest_spec.name)
    _make_own_files(visible, guest_spec.name)
    kernel.drop_capabilities(*_GIVEN_UP)
    kernel.forbid_inspection()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pid 1 ignores it then, its programs don't
    for folder in (_HOME, WORK):
        Path(folder).mkdir(mode=0o700)
    os.chdir(_HOME)
    _say(line, {"ready": True})
    line.close()
    os.dup2(0, 2)  # a program could open it through /proc: a file of the user's, or their terminal
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
    """Of the user's shell only the places of programs are in it, behind those of every system."""
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


def _connect_link(guest_spec: GuestSpec) -> None:
    with IPRoute() as netlink:
        for name in ("lo", LINK):
            netlink.link("set", index=socket.if_nametoindex(name), state="up")
        link = socket.if_nametoindex(LINK)
        netlink.addr("add", index=link, address=guest_spec.address, prefixlen=guest_spec.prefix)


def _make_own_files(visible: list[str], name: str) -> None:
    """Change to a root that holds what is to be seen, and nothing else of the computer's files."""
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # As descriptors: the new root is about to hide what lies in /tmp.
    devices = {device: os.open(f"/dev/{device}", os.O_PATH) for device in _DEVICES}
    shown = [path for path in (*_SYSTEM, *visible) if Path(path).exists()]
    links = {path: str(Path(path).readlink()) for path in _SYSTEM if Path(path).is_symlink()}
    held = {path: os.open(path, os.O_PATH) for path in shown if path not in links}
    sysfs = os.open("/sys", os.O_PATH)
    kernel.mount("tmpfs", _ROOT, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    _make_own_folders()
    _mount_kernels_own(sysfs)
    for path, target in links.items():
        Path(_ROOT + path).symlink_to(target)
    for path in sorted(held):  # a folder comes before what lies in it
        _show(held[path], _ROOT + path)
    _write_host_name(name)
    _fill_dev(devices)
    kernel.change_root(_ROOT)
    kernel.mount("", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | _READONLY)


def _make_own_folders() -> None:
    for folder, mode in OWN.items():
        Path(_ROOT + folder).mkdir()
        kernel.mount("tmpfs", _ROOT + folder, "tmpfs", kernel.MS_NOSUID, f"mode={mode}")
    Path(f"{_ROOT}/var").mkdir()
    for folder in ("tmp", "run"):
        Path(f"{_ROOT}/var/{folder}").symlink_to(f"/{folder}")


def _mount_kernels_own(sysfs: int) -> None:
    no_programs = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    for folder in ("proc", "sys"):
        Path(f"{_ROOT}/{folder}").mkdir()
    kernel.mount("proc", f"{_ROOT}/proc", "proc", no_programs)
    try:
        kernel.mount("sysfs", f"{_ROOT}/sys", "sysfs", no_programs)
        os.close(sysfs)
    except PermissionError:
        # Some containers allow no new /sys; theirs names other links, and harms nothing.
        _bind(sysfs, f"{_ROOT}/sys")
    for folder in ("proc", "sys"):
        kernel.make_tree_readonly(f"{_ROOT}/{folder}")


def _show(descriptor: int, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    _bind(descriptor, target)
    kernel.make_tree_readonly(target)


def _write_host_name(name: str) -> None:
    """Mount a file of its own in an /etc that all guests share otherwise."""
    own, place = Path(f"{_ROOT}/own"), f"{_ROOT}/etc/hostname"
    own.write_text(f"{name}\n")
    kernel.mount(str(own), place, flags=kernel.MS_BIND)
    kernel.make_tree_readonly(place)
    own.unlink()


def _fill_dev(devices: dict[str, int]) -> None:
    for name, descriptor in devices.items():
        Path(f"{_ROOT}/dev/{name}").touch()
        _bind(descriptor, f"{_ROOT}/dev/{name}")
    for folder in ("pts", "shm"):
        Path(f"{_ROOT}/dev/{folder}").mkdir()
    kernel.mount(
        "devpts", f"{_ROOT}/dev/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666"
    )
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        Path(f"{_ROOT}/dev/{name}").symlink_to(target)


def _bind(descriptor: int, target: str) -> None:
    kernel.mount(f"/proc/self/fd/{descriptor}", target, flags=kernel.MS_BIND | kernel.MS_REC)
    os.close(descriptor)
