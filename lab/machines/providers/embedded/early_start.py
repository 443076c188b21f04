"""Starts an embedded lab's supervisor early, for one command.

Its imports take as long as everything that the command does before it needs the supervisor. So a
run starts it first, and this module imports little, and nothing of the lab.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

import pushpull

# Guests and their programs can read the supervisor's environment, so it must not hold the user's
# keys and tokens: it gets only search paths and the locale.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE")
_NO_HOME = {"HOME": "/"}  # asyncssh needs one if the user isn't in /etc/passwd

_PROVIDERS = ("auto", "namespaces", "loopback")  # whose labs have one, or may have

_prepared: "list[Supervisor]" = []


class Supervisor:
    """A supervisor that waits for the description of its lab.

    `connection` is our end of its control connection. When that closes, the lab ends, unless it
    was asked to `keep` running for others. `shared` are the descriptors
    by which these find it: its listening socket, and what notes that socket's removal.
    """

    def __init__(self, shared: Sequence[int] = (), log: IO[str] | None = None) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn([theirs.fileno(), *shared], log)

    def begin(self, spec: dict[str, Any]) -> None:
        """Let the supervisor create the lab."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: no answer will come
            self._process.stdin.write(json.dumps(spec).encode())
            self._process.stdin.close()

    def end(self) -> None:
        """Return once nothing is left of the lab, whose control connection must be closed."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def kill(self) -> None:
        """End the lab, even if it was asked to keep running."""
        self._process.kill()
        self.end()


def prepare(provider: str | None) -> None:
    """Start a supervisor if this provider will need one. It ends with this process."""
    if provider in _PROVIDERS:
        _prepared.append(Supervisor())


def take_prepared() -> Supervisor:
    """Return the prepared supervisor, or a new one."""
    return _prepared.pop() if _prepared else Supervisor()


def _spawn(descriptors: list[int], log: IO[str] | None) -> "subprocess.Popen[bytes]":
    boot = os.path.join(os.path.abspath(pushpull.__path__[0]), "core", "boot.py")  # noqa: PTH100, PTH118  # no pathlib yet
    return subprocess.Popen(
        [
            sys.executable,
            "-I",
            boot,
            "pushpull.machines.providers.embedded.supervisor",
            *map(str, descriptors),
        ],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        cwd="/",
        env=_NO_HOME | {name: os.environ[name] for name in _KEPT if name in os.environ},
        start_new_session=True,
        pass_fds=descriptors,
    )
