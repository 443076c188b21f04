"""Starting a supervisor, for one command ahead of time: it takes as long to import as we do."""

import contextlib
import json
import socket
import subprocess
import sys
from typing import IO, Any

from lab.providers.control import Client
from lab.providers.state import PROJECT

_prepared: "list[Supervisor]" = []


class Supervisor:
    """A supervisor whose lab ends with this process; it waits to be told what the lab is."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn(theirs, None)
        self.client = Client(ours)

    def begin(self, spec: dict[str, Any]) -> None:
        """Let it make the lab."""
        _tell(self._process, spec)

    def end(self) -> None:
        """End the lab, and return when nothing of it is left."""
        self.client.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def prepare() -> None:
    """Start a supervisor for the lab that this command will want. It ends with this process."""
    _prepared.append(Supervisor())


def take_prepared() -> Supervisor:
    """Return the supervisor that was prepared, or a new one."""
    return _prepared.pop() if _prepared else Supervisor()


def start(control: socket.socket, log: IO[str], spec: dict[str, Any]) -> None:
    """Start a supervisor that lives on by itself and listens on `control`."""
    _tell(_spawn(control, log), spec)


def _spawn(control: socket.socket, log: IO[str] | None) -> "subprocess.Popen[bytes]":
    descriptor = control.fileno()
    return subprocess.Popen(
        [sys.executable, "-m", "lab.providers.supervisor", str(descriptor)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd=PROJECT,
        start_new_session=True,
        pass_fds=[descriptor],
    )


def _tell(process: "subprocess.Popen[bytes]", spec: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone, as its silence will tell
        process.stdin.write(json.dumps(spec).encode())
        process.stdin.close()
