"""Starting an embedded lab's supervisor, for one command ahead of time.

It takes as long to import as all that we need before it, so it is the first thing that a run
starts: this module imports little, and nothing of ours.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from typing import IO, Any

import lab

# Guests and their programs can read the supervisor's environment, so the user's keys and tokens
# stay out of it: it gets what finds programs and libraries, and how text is written.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE")
_NO_HOME = {"HOME": "/"}  # asyncssh fails without any, where the user isn't in /etc/passwd

_PROVIDERS = ("auto", "namespaces", "loopback")  # whose labs have one, or may have

_prepared: "list[Supervisor]" = []


class Supervisor:
    """A supervisor that waits for the description of its lab.

    `connection` is our end of its control connection. When that closes the lab ends, unless it was
    told to `keep` it for those who connect to `listener`.
    """

    def __init__(self, listener: socket.socket | None = None, log: IO[str] | None = None) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            self._process = _spawn([theirs, *([listener] if listener else [])], log)

    def begin(self, spec: dict[str, Any]) -> None:
        """Let it make the lab."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, which its silence will show
            self._process.stdin.write(json.dumps(spec).encode())
            self._process.stdin.close()

    def end(self) -> None:
        """End the lab, whose control connection is closed; return when nothing of it is left."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def kill(self) -> None:
        """End the lab whether it was to be kept or not."""
        self._process.kill()
        self.end()


def prepare(provider: str | None) -> None:
    """Start a supervisor for a lab that this provider will want; it ends with this process."""
    if provider in _PROVIDERS:
        _prepared.append(Supervisor())


def take_prepared() -> Supervisor:
    """Return the supervisor that was prepared, or a new one."""
    return _prepared.pop() if _prepared else Supervisor()


def _spawn(sockets: list[socket.socket], log: IO[str] | None) -> "subprocess.Popen[bytes]":
    descriptors = [each.fileno() for each in sockets]
    boot = os.path.join(os.path.abspath(lab.__path__[0]), "core", "boot.py")  # noqa: PTH100, PTH118  # no pathlib yet
    return subprocess.Popen(
        [
            sys.executable,
            "-I",
            boot,
            "lab.machines.providers.embedded.supervisor",
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
