"""Has a run made in a process that has imported everything: `fab up` keeps one beside its lab.

A run starts a third sooner there. It must not differ otherwise, so the call goes there only if that
process has the same files of the lab, and is what this one is in all that a process inherits: user,
limits, namespaces, environment. If anything differs, or is missing, the run is made here. This
module imports little, as imports are what it saves.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from pushpull.cli import first_look, interrupts
from pushpull.core import project

SOCKET = "warm"  # its name in the folder of the lab that is up
MOST_BYTES = 1 << 17  # of a call; the kernel's default limit is 1.6 times as much

_ASKS = ("--stop-on-refuted", "-o")  # such a run talks to the terminal, which is this process's
MOVES = {"_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES"}  # differ from call to call
_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")  # of namespaces
_IDS, _RIGHTS = ("Uid", "Gid", "Groups", "Umask"), ("Cap", "NoNewPrivs", "Seccomp")
_STATUS = (*_IDS, *_RIGHTS, "Cpus_allowed", "SigIgn")  # in /proc/self/status
_ANSWER_S = 2.0  # a process that hangs must not hold up a run
_UNKNOWN = 70  # ExitCode.BUG: the process was killed

Standing = dict[str, object]


def call(arguments: Sequence[str]) -> int | None:
    """Have a run made in the process that is kept beside its lab.

    Arguments:
        arguments: the command line, without the program.

    Returns:
        its exit code; None if the run is to be made here.
    """
    seen = first_look.provider_and_inventory(arguments)
    if seen is None or not {*arguments}.isdisjoint(_ASKS):
        return None
    provider, inventory = seen
    try:
        lab = project.lab_name(
            "*" if provider == "auto" else provider, project.inventory(inventory)
        )
    except (OSError, RuntimeError):  # links in a circle, for one: the run here says what is wrong
        return None
    for place in project.state().glob(f"{lab}/{SOCKET}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            try:
                pid = _ask(connection, place, arguments)
                process = os.pidfd_open(pid) if pid else 0
            except OSError:  # nobody is there, or it has just ended
                continue
            if process:
                return _wait(connection, process)
    return None


def standing() -> Standing:
    """Return what a process has inherited that its run depends on, in a form that JSON keeps."""
    own = Path("/proc/self")
    found: Standing = {}
    for line in (own / "status").read_text(errors="surrogateescape").splitlines():
        name, _, value = line.partition(":")
        if name.startswith(_STATUS):
            found[name] = value.strip()
    for kind in _KINDS:
        with contextlib.suppress(FileNotFoundError):  # the kernel has none of these
            found[kind] = str((own / "ns" / kind).readlink())
    for name in vars(resource):
        if name.startswith("RLIMIT_"):
            found[name] = [*resource.getrlimit(getattr(resource, name))]
    found["groups"] = (own / "cgroup").read_text(errors="surrogateescape")
    found["root"] = str((own / "root").readlink())
    found["nice"] = os.getpriority(os.PRIO_PROCESS, 0)
    found["python"] = [sys.executable, *sys.flags, sys.getfilesystemencoding(), sys.stdout.encoding]
    found["environment"] = {k: v for k, v in os.environ.items() if k not in MOVES}
    return found


def _ask(connection: socket.socket, place: Path, arguments: Sequence[str]) -> int:
    """Ask for a run; return the id of the process that makes it, 0 if none does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST_BYTES)
    connection.settimeout(_ANSWER_S)
    here = os.open(place.parent, os.O_PATH)
    try:  # the path of a Unix socket has at most 107 bytes
        connection.connect(f"/proc/self/fd/{here}/{SOCKET}")
    finally:
        os.close(here)
    moving = {name: os.environ[name] for name in MOVES & {*os.environ}}
    text = json.dumps([standing(), [*arguments], str(Path.cwd()), moving]).encode()
    if len(text) > MOST_BYTES:
        return 0
    proof = os.open("/proc/self/ns/pid", os.O_RDONLY)
    try:
        socket.send_fds(connection, [text], [0, 1, 2, proof])
    finally:
        os.close(proof)
    pid = int(connection.recv(64) or 0)
    connection.settimeout(None)
    return pid


def _wait(connection: socket.socket, process: int) -> int:
    """Pass on signals until the run's end; return its exit code."""
    signals: list[int] = []

    def pass_on(number: int, _: object) -> None:
        signals.append(number)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, number)

    def stand_still(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)  # goes on below when it is continued
            signal.pidfd_send_signal(process, signal.SIGCONT)

    if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
        signal.signal(signal.SIGTSTP, stand_still)  # Ctrl-Z
    with interrupts.handled_by(pass_on):
        code = connection.recv(64)
    if not code and signals:
        return interrupts.INTERRUPTED
    return int(code or _UNKNOWN)
