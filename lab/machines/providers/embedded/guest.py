"""One machine of an embedded lab, from its fork to its SSH server.

An isolated guest has its own network (one link, its lab address), process table, host name, IPC,
/proc, /sys, /dev, /tmp, /run and home. It sees the computer's system programs and settings and the
lab's Python, read-only. No program can undo that, as the guest gives up the capability to mount
before the first program runs. A plain guest (`loopback`) has only a home and a work folder.
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
_ROOT = "/tmp"  # where the new root is assembled
_READONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
# Where known systems keep programs and their settings; links stay links.
_SYSTEM = (
    *("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/nix", "/opt", "/sbin", "/snap", "/usr"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_GIVEN_UP = (
    kernel.CAP_SYS_ADMIN,
    kernel.CAP_SYS_PTRACE,  # with it, any program could open the server's descriptors
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
    """What a guest is made from.

    `prefix` is the length of the network's mask in bits; `open_files` is the initial limit on open
    files of its programs (ulimit -Sn).
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
    """Fork a guest with its own namespaces; return at once, with a socket to it.

    `pid_of` reads the guest's pid from that socket. The caller then moves the link into the guest's
    network and sends a byte, and the guest answers that it is ready, or what the kernel refused
    (see `receive`). `visible` names the folders that it sees besides the system's.
    """
    line, far_line = socket.socketpair()
    # The process that creates a PID namespace can't be its pid 1, so another one is in between.
    between = os.fork()
    if between == 0:
        with _refusals_reported(far_line):
            _enter_namespaces()
            pid = os.fork()
            if pid:
                _say(far_line, {"pid": pid, "between": os.getpid()})
                os._exit(0)
            _be_isolated(guest_spec, visible, far_line)
    far_line.close()
    return line


def pid_of(line: socket.socket) -> int:
    """Wait until a forked guest has its namespaces; return its pid. OSError as in `receive`."""
    said = receive(line)
    os.waitpid(said["between"], 0)
    return int(said["pid"])


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
    for scope in ("all", "default"):
        setting = Path(f"/proc/sys/net/ipv6/conf/{scope}/disable_ipv6")
        if setting.exists():  # a kernel may have no IPv6
            setting.write_text("1")


def receive(line: socket.socket) -> dict[str, Any]:
    """Return a guest's next message; OSError with the step, if the kernel refused one."""
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
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # pid 1 still ignores it, its programs don't
    for folder in (_HOME, WORK):
        Path(folder).mkdir(mode=0o700)
    os.chdir(_HOME)
    _say(line, {"ready": True})
    line.close()
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
def _refusals_reported(line: socket.socket) -> Any:
    """End the process in any case; first report what the kernel refused."""
    try:
        yield
    except OSError as error:
        _say(line, {"refused": error.strerror or str(error), "errno": error.errno})
    finally:
        os._exit(1)


def _say(line: socket.socket, message: dict[str, Any]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


def _keep_only(descriptors: list[int]) -> None:
    """Close everything inherited except `descriptors` and stderr, such as other guests' sockets."""
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
    """Change to a root that has only the visible parts of the computer's files."""
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # Open them now: the new root is about to hide /tmp.
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
    for path in sorted(held):  # a folder before its content
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
        # Some containers allow no new /sys; the old one lists other links, which is harmless.
        _bind(sysfs, f"{_ROOT}/sys")
    for folder in ("proc", "sys"):
        kernel.make_tree_readonly(f"{_ROOT}/{folder}")


def _show(descriptor: int, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    _bind(descriptor, target)
    kernel.make_tree_readonly(target)


def _write_host_name(name: str) -> None:
    """Mount the guest's own file in the /etc that all guests share."""
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
