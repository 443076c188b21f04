"""The process that `fab up` keeps beside its lab: it has imported all that a run needs.

`python -m pushpull.cli.warm_process FOLDER` has its socket in that folder, the lab's, and ends with
that lab. It forks a run for each call (see kept_warm.py) that could be made here as well as there.
A run that goes on when this process ends is not affected; one whose caller is killed is killed.
"""

import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import pushpull
from pushpull.cli import command, kept_warm
from pushpull.core import clock
from pushpull.core.errors import ExitCode
from pushpull.machines import lab_folder, ssh_library
from pushpull.machines.providers.embedded import control
from pushpull.report import page

_ROOMS = ("analysis", "core", "engine", "machines", "report", "runs", "experiments.judges")
_NEEDED = ("command_line", "tasks.making", "run_experiment", "run_series", "conformance", "prompt")
_UNNEEDED = ("frames", "embedded.")  # they import polars and asyncssh, which a run here doesn't use
_LOCK = "warm.lock"  # is held by the process
_NO_LAB = (FileNotFoundError, ConnectionRefusedError)  # it has ended meanwhile
_SENT = 4  # descriptors: the standard streams, and of the PID namespace
_STARTING_S = 1.0  # the most that a caller may take to say what it wants

Files = dict[str, tuple[int, int]]


def start(folder: Path) -> None:
    """Start the process beside the lab that is kept up in a folder; return at once."""
    with (folder / "warm.log").open("w") as log:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "pushpull.cli.warm_process", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the calls
        )


def wait_for_end(folder: Path) -> None:
    """Wait until there is no such process beside a lab that has ended."""
    with contextlib.suppress(FileNotFoundError), (folder / _LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def main() -> None:
    """Serve until the lab's end, or until a file of the lab changes; do nothing if one serves."""
    folder = Path(sys.argv[1])
    own = kept_warm.standing()
    lock = (folder / _LOCK).open("w")  # the kernel unlocks it when we have ended
    with contextlib.ExitStack() as stack, contextlib.suppress(BlockingIOError, *_NO_LAB):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lab = stack.enter_context(socket.socket(socket.AF_UNIX))
        with lab_folder.at(folder) as here:
            lab.connect(f"{here}/{control.SOCKET}")
        control.Client(lab).greet()
        files = _files()
        import_all()
        listener = stack.enter_context(_listening(folder))
        _Server(lock, lab, listener, own, files).serve()
    os._exit(0)


@dataclass(frozen=True, slots=True)
class _Server:
    """What this process has: its lock, the lab's connection, its socket, and what it began with."""

    lock: IO[str]
    lab: socket.socket
    listener: socket.socket
    standing: kept_warm.Standing
    files: Files

    def serve(self) -> None:
        """Fork a run for each call."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the runs
        waiting = select.poll()
        waiting.register(self.listener, select.POLLIN)
        waiting.register(self.lab, select.POLLIN)
        while self.lab.fileno() not in dict(waiting.poll()):
            connection, _ = self.listener.accept()
            with connection, _heard(connection) as (call, descriptors):
                if _files() != self.files:
                    return
                if _is_outside(descriptors) and call[0] == self.standing and os.fork() == 0:
                    for each in (self.lock, self.lab, self.listener):
                        each.close()
                    _make_run(connection, call, descriptors)


def import_all() -> None:
    """Import what any run needs, and keep the collector of garbage from looking at it."""
    for name in _NEEDED:
        importlib.import_module(f"pushpull.cli.{name}")
    for room in _ROOMS:
        package = importlib.import_module(f"pushpull.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"pushpull.{room}."):
            if not any(name in module.name for name in _UNNEEDED):
                importlib.import_module(module.name)
    ssh_library.get_ready()
    page.get_ready()
    gc.freeze()  # no collection in a run touches, and so copies, what they all share


def _files() -> Files:
    """Return all files of the lab; a change of one makes what was imported outdated."""
    found: Files = {}
    folders = [*pushpull.__path__]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders += [entry.path] if entry.name != "__pycache__" else []
                elif entry.is_file():
                    found[entry.path] = entry.stat().st_mtime_ns, entry.stat().st_size
    locked = Path(sys.prefix, "requirements.lock")  # written when packages were installed
    if locked.exists():
        found[str(locked)] = locked.stat().st_mtime_ns, locked.stat().st_size
    return found


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    place = folder / kept_warm.SOCKET
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        with lab_folder.at(folder) as here:
            listener.bind(f"{here}/{kept_warm.SOCKET}")
        place.chmod(0o600)
        listener.listen()
        try:
            yield listener
        finally:
            place.unlink(missing_ok=True)


@contextlib.contextmanager
def _heard(connection: socket.socket) -> Iterator[tuple[list[Any], list[int]]]:
    """Give what a caller sends, and its descriptors, which are closed at the end of the block."""
    connection.settimeout(_STARTING_S)
    call: bytes = b""
    descriptors: list[int] = []
    with contextlib.suppress(OSError):  # it is gone, or says nothing
        call, descriptors, _, _ = socket.recv_fds(connection, kept_warm.MOST_BYTES, _SENT)
    try:
        yield (json.loads(call) if call else []), descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _is_outside(descriptors: list[int]) -> bool:
    """Return whether a caller sent all descriptors, and is no program on a machine of the lab."""
    if len(descriptors) != _SENT:
        return False
    ours = os.stat("/proc/self/ns/pid")  # noqa: PTH116
    return os.path.samestat(os.fstat(descriptors[-1]), ours)


def _make_run(connection: socket.socket, call: list[Any], descriptors: list[int]) -> NoReturn:
    """Be a caller's run, and send its process id first, and its exit code at the end."""
    code = ExitCode.BUG.value
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        connection.settimeout(None)
        connection.send(b"%d" % os.getpid())
        _, arguments, folder, environment = call
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        for descriptor in descriptors:
            os.close(descriptor)
        for name in kept_warm.MOVES:
            os.environ.pop(name, None)
        os.environ.update(environment)
        os.chdir(folder)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.argv = [str(Path(command.__file__).parents[1] / "__main__.py"), *arguments]
        clock.begin()
        threading.Thread(target=_end_with, args=[connection], daemon=True).start()
        code = command.run(prepare=lambda _: None)  # a lab is up
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(OSError):
            connection.send(b"%d" % code)
        os._exit(code)


def _end_with(caller: socket.socket) -> None:
    """End at once when the caller was killed, as the run would that it makes by itself."""
    with contextlib.suppress(OSError):
        caller.recv(1)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
