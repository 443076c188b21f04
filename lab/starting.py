"""Starting an embedded lab's supervisor, for one command ahead of time.

It takes as long to import as all that we need before it, so it is the first thing that a run
starts: this module imports little, and nothing of ours.
"""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

import lab

_PROJECT = f"{lab.__path__[0]}/.."

_prepared: "list[Supervisor]" = []


class Supervisor:
    """A supervisor whose lab ends with this process; it waits to be told what the lab is.

    `connection` is our end of its control connection.
    """

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn(theirs, None)

    def begin(self, spec: dict[str, Any]) -> None:
        """Let it make the lab."""
        _tell(self._process, spec)

    def end(self) -> None:
        """End the lab, whose control connection is closed; return when nothing of it is left."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def is_wanted(arguments: Sequence[str]) -> bool:
    """Tell whether a command line is sure to want an embedded lab's supervisor.

    A look that costs nothing, as all else comes later: a rarer way to write the same only makes
    the command start its supervisor when it is there.
    """
    if not arguments or arguments[0] != "run-experiment":
        return False
    if {"-h", "--help"} & set(arguments):
        return False
    words = iter(arguments[1:])
    provider = "auto"
    for word in words:
        if word in ("-p", "--provider"):
            provider = next(words, "")
        elif word.startswith("--provider="):
            provider = word.partition("=")[2]
    return provider in ("auto", "namespaces", "loopback")


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
        cwd=_PROJECT,
        start_new_session=True,
        pass_fds=[descriptor],
    )


def _tell(process: "subprocess.Popen[bytes]", spec: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is gone, as its silence will tell
        process.stdin.write(json.dumps(spec).encode())
        process.stdin.close()
