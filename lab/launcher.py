"""Runs one program on a machine, and ends all of its processes when told to, or when alone.

Deployed to every machine; standard library only. Started as `python -I launcher.py`, its standard
input first brings one line, what to run: `{"argv": [...], "env": {...}, "cwd": "..."}`. Each later
line is a number, a signal for every process of the program. The end of standard input means that
the harness is gone, by its own will or not: every process of the program is killed at once.

The program inherits standard output and standard error, so what it prints never passes through
here. As a subreaper the launcher is the parent of every process that the program leaves behind, so
it finds and ends them all. It exits when the last one has, with the program's own exit status
(128 + n where signal n ended it, 127 where it could not be started).
"""

import ctypes
import json
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl


def main() -> None:
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    orders = Orders(0)
    what = json.loads(orders.next_line())
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    program = start(what["argv"], what["env"], what["cwd"])
    os._exit(watch(program, orders, wake))


class Orders:
    """The lines on standard input; read by hand, as a buffer would hide them from select."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.ended = False

    def next_line(self) -> bytes:
        while b"\n" not in self._rest and not self.ended:
            self.read()
        return self.take_line() or b"{}"

    def read(self) -> None:
        data = os.read(self._fd, 65536)
        self._rest += data
        self.ended = not data

    def take_line(self) -> bytes:
        line, newline, rest = self._rest.partition(b"\n")
        if not newline:
            return b""
        self._rest = rest
        return line


def start(argv: "list[str]", env: "dict[str, str]", cwd: str) -> int:
    """Start the program in a session of its own; it is killed should the launcher be killed."""
    program = os.fork()
    if program:
        return program
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, {**os.environ, **env})
    except OSError as error:
        os.write(2, f"{argv[0]}: cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def watch(program: int, orders: Orders, wake: int) -> int:
    """Pass signals on until no process is left; return the program's exit status."""
    status = 127
    while True:
        pid = 1
        while pid > 0:
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return status
            if pid == program:
                code = os.waitstatus_to_exitcode(how)
                status = code if code >= 0 else 128 - code
        if orders.ended:
            signal_descendants(signal.SIGKILL)
        readable, _, _ = select.select([wake] if orders.ended else [wake, 0], [], [])
        if wake in readable:
            os.read(wake, 4096)
        if 0 in readable:
            orders.read()
            while line := orders.take_line():
                signal_descendants(int(line))


def signal_descendants(number: int) -> None:
    """Send signal `number` to every process below the caller, the nearest first."""
    for pid in descendants(os.getpid()):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def end_descendants() -> None:
    """Kill every process below the caller, a subreaper, and wait until none is left."""
    while True:
        signal_descendants(signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def descendants(ancestor: int) -> "list[int]":
    """Return the pids below `ancestor`, parents before their children."""
    children: "dict[int, list[int]]" = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found = list(children.get(ancestor, []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


if __name__ == "__main__":
    try:
        main()
    except (KeyError, ValueError) as error:
        sys.exit(f"launcher: not an order: {error}")
