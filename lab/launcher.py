"""Runs one program on a machine, and ends all of its processes when told to, or when alone.

Deployed to every machine; standard library only, and little of it, as every start waits for it.
Its standard input first brings what to run, see `order`; then each line is a number: a signal for
every process of the program, 0 being none. The end of standard input means that the harness is
gone, by its own will or not: every process of the program is killed at once. A wire that died
brings no end; so is silence longer than LEASE_S, for a harness says something every PULSE_S.

The program inherits standard output and standard error, so what it prints never passes through
here. As a subreaper the launcher is the parent of every process that the program leaves behind, so
it finds and ends them all. It exits when the last one has, with the program's own exit status
(128 + n where signal n ended it, 127 where it could not be started).
"""

import ctypes
import os
import select
import signal
import sys
import time

LEASE_S = 30
PULSE_S = 10
NOT_STARTED = 127  # the exit status, as a shell's

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl


def order(argv: "list[str]", env: "dict[str, str]", cwd: str, notes: str) -> bytes:
    """Return what tells a launcher to run `argv` in the folder `cwd` with `env` added.

    A line with a number of bytes, then as many: the folder, the file for the launcher's notes, how
    many variables there are, each as NAME=VALUE, and the words of the command, with NULs between.
    (To import json takes 12 ms.)
    """
    parts = [cwd, notes, str(len(env)), *(f"{name}={value}" for name, value in env.items()), *argv]
    text = "\0".join(parts).encode()
    return b"%d\n%s" % (len(text), text)


def main() -> None:
    if len(sys.argv) > 1:
        confirm(*sys.argv[1:])
        return
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a server's good-bye must not end it too early
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    orders = Orders(0)
    if size := orders.take_order_size():
        cwd, notes, count, *rest = orders.take(size).decode().split("\0")
        write_pid(notes)
        environment = [variable.partition("=")[::2] for variable in rest[: int(count)]]
        program = start(rest[int(count) :], dict(environment), cwd)
        os._exit(watch(program, orders, wake, notes))


def write_pid(path: str) -> None:
    """Leave the pid where `confirm` finds it."""
    with open(path, "w") as file:
        file.write(f"pid {os.getpid()}\n")


def confirm(number: str, path: str, patience: str) -> None:
    """Print when a launcher's processes were stopped (SIGSTOP), or none (SIGCONT).

    That is the UNIX time and CLOCK_MONOTONIC, in seconds. `path` is the file with the
    launcher's notes. They still have to be so; nothing is printed otherwise, or when the note
    hasn't come after `patience` seconds.
    """
    end = time.monotonic() + float(patience)
    while time.monotonic() < end:
        with open(path) as file:
            (_, launcher), *notes = [line.split() for line in file]
        if notes and notes[-1][0] == number and all_are(int(number), int(launcher)):
            print(*notes[-1][1:])
            return
        select.select([], [], [], 0.005)


def all_are(number: int, launcher: int) -> bool:
    """Tell whether all processes below a launcher are stopped, or none is, in a second's time."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        states = [state == "T" for _, _, state in descendants(launcher)]
        if states and (all(states) if number == signal.SIGSTOP else not any(states)):
            return True
        select.select([], [], [], 0.0005)
    return False


class Orders:
    """What comes on standard input; read by hand, as a buffer would hide it from select."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.ended = False

    def read(self) -> None:
        """Read what is there, or wait for more; `ended` tells that there is no more."""
        data = os.read(self._fd, 65536)
        self._rest += data
        self.ended = not data

    def take_order_size(self) -> int:
        """Wait for the order's first line; 0 if the harness goes, or says nothing, before it."""
        while b"\n" not in self._rest and not self.ended:
            if not select.select([self._fd], [], [], LEASE_S)[0]:
                return 0
            self.read()
            if self._rest.startswith(b"0\n"):  # a lease renewed while there is nothing to do
                self._rest = self._rest[2:]
        return int(self.take_line() or b"0")

    def take_line(self) -> bytes:
        """Take the next line away, empty if it isn't whole yet."""
        line, newline, rest = self._rest.partition(b"\n")
        if not newline:
            return b""
        self._rest = rest
        return line

    def take(self, size: int) -> bytes:
        """Take the next `size` bytes away, waiting for them."""
        while len(self._rest) < size and not self.ended:
            self.read()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def start(argv: "list[str]", env: "dict[str, str]", cwd: str) -> int:
    """Start the program in a session of its own; it is killed should the launcher be killed."""
    program = os.fork()
    if program:
        return program
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, {**os.environ, **env})
    except OSError as error:
        os.write(2, f"{argv[0]}: cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def watch(program: int, orders: Orders, wake: int, notes: str) -> int:
    """Pass signals on until no process is left; return the program's exit status."""
    status = NOT_STARTED
    heard = time.monotonic()
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
        sources = [wake] if orders.ended else [wake, 0]
        patience = None if orders.ended else max(0.0, heard + LEASE_S - time.monotonic())
        readable, _, _ = select.select(sources, [], [], patience)
        if wake in readable:
            os.read(wake, 4096)
        if 0 in readable:
            heard = time.monotonic()
            obey(orders, program, notes)
        elif time.monotonic() >= heard + LEASE_S:
            orders.ended = True  # for the next round to act on


def obey(orders: Orders, program: int, notes: str) -> None:
    """Pass on the signals that have come; leave the time when all were stopped, or none."""
    orders.read()
    while line := orders.take_line():
        if number := int(line):
            # The program's group can be reached at once; who left it must be looked for.
            send(-program, number)
            signal_descendants(number, program)
            if number in (signal.SIGSTOP, signal.SIGCONT) and all_are(number, os.getpid()):
                with open(notes, "a") as file:
                    file.write(f"{number} {time.time()!r} {time.monotonic()!r}\n")
            # One that was being forked has escaped: the next rounds kill until none is left.
            orders.ended = orders.ended or number == signal.SIGKILL


def signal_descendants(number: int, group: int = 0) -> None:
    """Send signal `number` to every process below the caller, but those of the process `group`."""
    for pid, its_group, _ in descendants(os.getpid()):
        if its_group != group:
            send(pid, number)


def send(pid: int, number: int) -> None:
    """Send a signal to a process (a process group when negative) that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def end_descendants() -> None:
    """Kill every process below the caller, a subreaper, and wait until none is left."""
    while True:
        signal_descendants(signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def descendants(ancestor: int) -> "list[tuple[int, int, str]]":
    """Return pid, process group and state of all below `ancestor`, parents before children."""
    children: "dict[int, list[tuple[int, int, str]]]" = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent, group = file.read().rpartition(b")")[2].split()[:3]
            except OSError:
                continue
            found_one = (int(name), int(group), state.decode())
            children.setdefault(int(parent), []).append(found_one)
    found = list(children.get(ancestor, []))
    for pid, _, _ in found:
        found.extend(children.get(pid, []))
    return found


if __name__ == "__main__":
    main()
