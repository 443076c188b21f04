"""Runs `fab` in forks of one process that has imported the lab, which a test need not wait for.

`command.fab` uses it for calls that inherit nothing special: thousands of them would import the
same modules again, a third of the time of most tests. What is started, not called, and what the
docs say to type, runs from nothing, as a user's calls do.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

PROJECT = Path(__file__).parents[1]
_LARGEST = 1 << 20
_KILLED = -signal.SIGKILL


def run(
    arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, timeout: float
) -> "subprocess.CompletedProcess[str]":
    """Call `fab` as `subprocess.run` would, with its output captured and nothing on its input."""
    parts = {name: os.pipe() for name in ("code", "stdout", "stderr")}
    try:
        call = json.dumps([[*arguments], {**environment}, str(cwd)]).encode()
        socket.send_fds(_server(), [call], [end for _, end in parts.values()])
    finally:
        for _, end in parts.values():
            os.close(end)
    said = _read_all({start: name for name, (start, _) in parts.items()}, timeout)
    texts = {name: data.decode("utf-8", "backslashreplace") for name, data in said.items()}
    if said["timed out"]:
        raise subprocess.TimeoutExpired([*arguments], timeout, texts["stdout"], texts["stderr"])
    code = texts["code"].partition(" ")[2]
    return subprocess.CompletedProcess(
        [*arguments], int(code) if code else _KILLED, texts["stdout"], texts["stderr"]
    )


def _read_all(names: Mapping[int, str], timeout: float) -> dict[str, bytes]:
    """Read descriptors to their ends; kill the process after a timeout."""
    said = dict.fromkeys((*names.values(), "timed out"), b"")
    end = time.monotonic() + timeout
    with selectors.DefaultSelector() as selector:
        for descriptor in names:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready and not said["timed out"]:
                said["timed out"], end = b"yes", end + timeout
                with contextlib.suppress(ProcessLookupError, ValueError):
                    os.kill(int(said["code"].split()[0]), signal.SIGKILL)
            elif not ready:
                break
            for key, _ in ready:
                data = os.read(key.fd, _LARGEST)
                said[names[key.fd]] += data
                if not data:
                    selector.unregister(key.fd)
    for descriptor in names:
        os.close(descriptor)
    return said


@cache
def _server() -> socket.socket:
    """Start the process of this test process; it ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=PROJECT, pass_fds=[theirs.fileno()])
    return ours


def _serve(calls: socket.socket) -> None:
    from pushpull.cli import warm_process

    warm_process.import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the forks
    while True:
        call, descriptors, _, _ = socket.recv_fds(calls, _LARGEST, 3)
        if not call:
            return
        if os.fork() == 0:
            calls.close()
            _be_fab(call, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _be_fab(call: bytes, told: int, *outputs: int) -> NoReturn:
    from pushpull.cli import command
    from pushpull.core import clock
    from pushpull.machines.providers.embedded import early_start

    code = 1
    try:
        arguments, environment, folder = json.loads(call)
        os.write(told, b"%d " % os.getpid())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(outputs, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = [str(PROJECT / "pushpull" / "__main__.py"), *arguments]
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        clock.begin()
        code = command.run(early_start.prepare)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os.write(told, b"%d" % code)
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
