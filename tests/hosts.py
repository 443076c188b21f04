"""Hosts with a real OpenSSH server each, made from network namespaces, as root or not.

Each host has a network with its lab address, a host name and a home; all answer SSH on 127.0.0.1.
`hosts` starts this file as a program; the hosts end with it, and it with its standard input.
"""

import contextlib
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from leftovers import command_of, descendants, ended_within, is_alive
from pyroute2 import IPRoute

from pushpull.machines.providers.embedded import kernel

_CONFIG = """\
HostKey {folder}/host_key
AuthorizedKeysFile {above}/client.pub
PermitUserEnvironment no
PidFile none
UsePAM no
StrictModes no
Subsystem sftp internal-sftp
SetEnv PATH={path}
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Hosts:
    """Hosts that are up, with the pids of their processes and their SSH ports."""

    folder: Path
    addresses: Mapping[str, str]
    ports: Mapping[str, int]
    pids: Mapping[str, int]

    def inventory(self, network: str = "192.168.0.0/24", **ports: int) -> Path:
        """Write an inventory of these hosts; `ports` may differ from theirs."""
        lines = [f"network: {network}", "machines:"]
        for name, address in self.addresses.items():
            role = "pusher" if name == "push" else "puller"
            port = ports.get(name.replace("-", "_"), self.ports[name])
            ssh = f"{{host: 127.0.0.1, port: {port}}}"
            lines.append(f"  {name}: {{role: {role}, address: {address}, ssh: {ssh}}}")
        user = pwd.getpwuid(os.geteuid()).pw_name
        settings = f"user: {user}, key: client, known_hosts: known_hosts, python: {sys.executable}"
        lines += ["providers:", f"  ssh: {{{settings}}}"]
        path = self.folder / "inventory.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def know(self, name: str, port: int | None = None, key_of: str | None = None) -> None:
        """Add a host's key (or that of another, `key_of`) to the known_hosts file."""
        public = (self.folder / (key_of or name) / "host_key.pub").read_text()
        with (self.folder / "known_hosts").open("a") as file:
            file.write(f"[127.0.0.1]:{port or self.ports[name]} {public}")

    def forget_all(self) -> None:
        """Empty the known_hosts file."""
        (self.folder / "known_hosts").write_text("")

    def quiet_within(self, limit_s: float) -> bool:
        """Wait until no host runs anything beyond its SSH server, at most so many seconds."""
        return ended_within(limit_s, self._programs)

    def _programs(self) -> list[int]:
        pids = [pid for host in self.pids.values() for pid in descendants(host)]
        return [pid for pid in pids if is_alive(pid) and "sshd" not in command_of(pid)]

    def left_by(self, run: str) -> list[Path]:
        """Return the folders that a run left on the hosts."""
        places = [self.folder / name / "home/.cache/push-pull-lab" for name in self.addresses]
        return [place / run for place in places if (place / run).exists()]


@contextlib.contextmanager
def hosts(folder: Path, sshd: Path, addresses: Mapping[str, str]) -> Iterator[Hosts]:
    """Bring hosts up with these names and lab addresses; their keys are known."""
    folder.mkdir(exist_ok=True)
    _write_key(folder / "client")
    for name in addresses:
        (folder / name / "home").mkdir(parents=True)
        _write_key(folder / name / "host_key")
        config = _CONFIG.format(
            folder=folder / name, above=folder, path=f"{_PATH}:{os.environ['PATH']}"
        )
        (folder / name / "config").write_text(config)
    spec = {"folder": str(folder), "sshd": str(sshd), "addresses": dict(addresses)}
    command = [sys.executable, __file__, json.dumps(spec)]
    project = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": project},
    ) as server:
        assert server.stdout is not None
        said = json.loads(server.stdout.readline())
        children = descendants(server.pid)[1:]  # the first is the parent of all hosts
        pids = dict(zip(addresses, children, strict=True))
        up = Hosts(folder=folder, addresses=addresses, ports=said, pids=pids)
        for name in addresses:
            up.know(name)
        try:
            yield up
        finally:
            assert server.stdin is not None
            server.stdin.close()


def _write_key(path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    key.write_public_key(path.with_suffix(".pub"))
    path.chmod(0o600)


# --- The program: it makes the hosts and holds them. ----------------------------------------------


def main() -> None:
    spec = json.loads(sys.argv[1])
    # A socket stays in the network namespace where it was created: so these are reachable.
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in spec["addresses"]}
    _enter_namespaces()
    first = os.fork()
    if first == 0:
        _hold(spec, listeners)
    sys.stdin.read()
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)


def _enter_namespaces() -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    # sshd as root changes users: root keeps them all. Another user's sshd must be that user.
    kernel.unshare(flags if uid == 0 else flags | kernel.CLONE_NEWUSER)
    if uid:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _hold(spec: dict, listeners: dict[str, socket.socket]) -> None:
    """Be pid 1 of the new process table; the kernel kills all others with it."""
    kernel.die_with_parent(signal.SIGKILL)
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("proc", "/proc", "proc")
    with IPRoute() as netlink:
        netlink.link("add", ifname="lab", kind="bridge")
        bridge = socket.if_nametoindex("lab")
        netlink.link("set", index=bridge, state="up")
        lines = [_start_host(spec, name, listeners[name]) for name in listeners]
        for number, (pid, line) in enumerate(lines):
            peer = {"ifname": "eth0", "net_ns_pid": pid}
            netlink.link(
                "add", ifname=f"h{number}", kind="veth", master=bridge, state="up", peer=peer
            )
            line.send(b"go")
            assert line.recv(16) == b"ready"
    ports = {name: listener.getsockname()[1] for name, listener in listeners.items()}
    print(json.dumps(ports), flush=True)
    while True:
        os.wait()


def _start_host(spec: dict, name: str, listener: socket.socket) -> tuple[int, socket.socket]:
    line, far_line = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        _be_host(spec, name, listener, far_line)
    assert line.recv(16) == b"mine"
    return pid, line


def _be_host(spec: dict, name: str, listener: socket.socket, line: socket.socket) -> None:
    kernel.become_subreaper()
    kernel.unshare(kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
    line.send(b"mine")
    line.recv(16)
    socket.sethostname(name)
    with IPRoute() as netlink:
        for link in ("lo", "eth0"):
            netlink.link("set", index=socket.if_nametoindex(link), state="up")
        link = socket.if_nametoindex("eth0")
        netlink.addr("add", index=link, address=spec["addresses"][name], prefixlen=24)
    folder = Path(spec["folder"], name)
    _give_accounts(folder)
    line.send(b"ready")
    _serve([spec["sshd"], "-i", "-f", str(folder / "config")], listener, folder / "sshd.log")


def _give_accounts(folder: Path) -> None:
    """Let this user's home be a folder of the host's own; and give root's sshd what it insists on:
    a user `sshd`, the folder /run/sshd, and no locked password."""
    me = pwd.getpwuid(os.geteuid())
    lines = [f"{me.pw_name}:x:{me.pw_uid}:{me.pw_gid}::{folder}/home:/bin/sh"]
    if me.pw_uid == 0:
        lines.append("sshd:x:65533:65534::/run/sshd:/bin/false")
        (folder / "shadow").write_text(
            "".join(f"{line.split(':')[0]}:*:1::::::\n" for line in lines)
        )
        kernel.mount("tmpfs", "/run", "tmpfs", data="mode=755")
        Path("/run/sshd").mkdir()
        kernel.mount(str(folder / "shadow"), "/etc/shadow", flags=kernel.MS_BIND)
    (folder / "passwd").write_text("\n".join(lines) + "\n")
    kernel.mount(str(folder / "passwd"), "/etc/passwd", flags=kernel.MS_BIND)


def _serve(sshd: list[str], listener: socket.socket, log: Path) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            for target in (0, 1):
                os.dup2(connection.fileno(), target)
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
            os.execv(sshd[0], sshd)
        connection.close()


if __name__ == "__main__":
    main()
