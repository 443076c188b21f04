"""Runs one program on a machine, and ends all of its processes when told to, or when alone.

Deployed to every machine; standard library only, and little of it, as every start waits for it.
Its standard input first brings what to run, see `order`; then each line is a number: a signal for
every process of the program, 0 being none. The end of standard input means that the harness is
gone, by its own will or not: every process of the program is killed at once. A wire that died
brings no end; so is silence longer than LEASE_S, for a harness says something every PULSE_S.

The program inherits standard output and standard error, so what it prints never passes through
here. As a subreaper the launcher is the parent of every process that the program leaves behind, so
it finds and ends them all. It exits when the last one has, with the program's own exit status
(128 + n where signal n ended it). A program may exit with any status, so what the launcher itself
has to report is in its file of notes, a word and a value per line:

    pid NUMBER          its own process; where this is missing it ran nothing (exit status FAILED)
    not-started WHY     the system refused to execute the program (exit status NOT_STARTED)
    SIGNAL TIME         SIGSTOP or SIGCONT had reached all of the program's processes
    lease TIME          nothing came on standard input for LEASE_S: it ended the program itself
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
FAILED = 125  # the exit status where no program was run, as no order came that could be read

_LONGEST_NUMBER = 9  # digits of the order's size, or of a signal
_PRELOAD = ("LD_PRELOAD", "_STDBUF_O")  # what stdbuf sets for a program

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl

_asked_to_kill: "set[int]" = set()


def order(
    argv: "list[str]", env: "dict[str, str]", cwd: str, notes: str, *, by_line: bool = False
) -> bytes:
    """Return what tells a launcher to run `argv` in the folder `cwd` with `env` added.

    With `by_line` the C library is told not to hold the program's lines back, see `line_buffered`.

    A line with a number of bytes, then as many: the folder, the file for the launcher's notes,
    `by_line` as 1 or nothing, how many variables there are, each as NAME=VALUE, and the words of
    the command, with NULs between. (To import json takes 12 ms.)
    """
    variables = [f"{name}={value}" for name, value in env.items()]
    parts = [cwd, notes, "1" if by_line else "", str(len(variables)), *variables, *argv]
    text = "\0".join(parts).encode("utf-8", "surrogateescape")
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
    try:
        cwd, notes, by_line, count, *rest = orders.take_order()
        write_pid(notes)
    except (OSError, ValueError) as error:
        os.write(2, f"launcher: no program was run: {error}\n".encode())
        os._exit(FAILED)
    variables = dict(variable.partition("=")[::2] for variable in rest[: int(count)])
    environment = {**os.environ, **variables}
    program = start(rest[int(count) :], environment, cwd, notes, bool(by_line))
    os._exit(watch(program, orders, wake, notes))


def write_pid(path: str) -> None:
    """Leave the pid where `confirm` finds it."""
    with open(path, "w") as file:
        file.write(f"pid {os.getpid()}\n")


def note(path: str, word: object, value: object) -> None:
    """Add a line to the notes; they may be gone, with the folder or a full disk."""
    try:
        with open(path, "a") as file:
            file.write(f"{word} {value}\n")
    except OSError:
        return


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

    def take_order(self) -> "list[str]":
        """Wait for the order, and return its parts.

        Raises OSError when the harness goes, or says nothing, before it is whole; ValueError for
        what is no order.
        """
        parts = self.take(self.take_size()).decode("utf-8", "surrogateescape").split("\0")
        if len(parts) < 5 or not parts[3].isdigit():
            raise ValueError("what came is no order")
        return parts

    def take_size(self) -> int:
        """Take the order's first line, and the pulses before it: leases that were renewed."""
        while True:
            size = self.take_number()
            if size is None:
                self.read_in_time()
            elif size:
                return size

    def read_in_time(self) -> None:
        """Read what comes next; OSError when there is no more, or nothing for LEASE_S."""
        if not select.select([self._fd], [], [], LEASE_S)[0]:
            raise OSError(f"no order came within {LEASE_S} s")
        self.read()
        if self.ended:
            raise OSError("no order came: standard input has ended")

    def take_number(self) -> "int | None":
        """Take the next line away, None if it isn't whole yet; ValueError if it's no number."""
        line, newline, rest = self._rest.partition(b"\n")
        if not newline and len(line) <= _LONGEST_NUMBER:
            return None
        if not line.isdigit() or len(line) > _LONGEST_NUMBER:
            raise ValueError(f"{line[:40]!r} is no number")
        self._rest = rest
        return int(line)

    def take(self, size: int) -> bytes:
        """Take the next `size` bytes away, waiting for them."""
        while len(self._rest) < size:
            self.read_in_time()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def start(argv: "list[str]", env: "dict[str, str]", cwd: str, notes: str, by_line: bool) -> int:
    """Start the program in a session of its own; it is killed should the launcher be killed."""
    program = os.fork()
    if program:
        return program
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        os.execvpe(argv[0], argv, line_buffered(env) if by_line else env)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        note(notes, "not-started", why)
        os.write(2, f"{argv[0]}: cannot be started: {why}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def line_buffered(env: "dict[str, str]") -> "dict[str, str]":
    """Return `env` with what lets a program that uses C's stdio print line by line.

    Into a pipe that library writes 4 KiB at a time. `stdbuf` changes that by a library of its own;
    it is asked for its variables here, as under `stdbuf` the program's start could fail unnoticed:
    that exits with 126 or 127, as the program itself may.
    """
    asked, answer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(answer, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.execvpe("stdbuf", ["stdbuf", "-oL", "cat", "/proc/self/environ"], env)
        finally:
            os._exit(NOT_STARTED)
    os.close(answer)
    with os.fdopen(asked, "rb") as file:
        found = [os.fsdecode(variable).partition("=")[::2] for variable in file.read().split(b"\0")]
    os.waitpid(child, 0)
    return {**env, **{name: value for name, value in found if name in _PRELOAD}}


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
            note(notes, "lease", repr(time.time()))
            orders.ended = True  # for the next round to act on


def obey(orders: Orders, program: int, notes: str) -> None:
    """Pass on the signals that have come; leave the time when all were stopped, or none.

    What is no signal comes from no harness: it is taken as its end.
    """
    orders.read()
    try:
        while (number := orders.take_number()) is not None:
            if number:
                pass_on(signal.Signals(number), program, notes)
            # One that was being forked has escaped: the next rounds kill until none is left.
            orders.ended = orders.ended or number == signal.SIGKILL
    except ValueError as error:
        note(notes, "misunderstood", error)
        orders.ended = True


def pass_on(number: int, program: int, notes: str) -> None:
    """Send a signal to the whole program."""
    # The program's group can be reached at once; who left it must be looked for.
    send(-program, number)
    signal_descendants(number, program)
    if number in (signal.SIGSTOP, signal.SIGCONT) and all_are(number, os.getpid()):
        note(notes, int(number), f"{time.time()!r} {time.monotonic()!r}")


def signal_descendants(number: int, group: int = 0) -> None:
    """Send signal `number` to every process below the caller, but those of the process `group`.

    What runs as another user, as under sudo or su, only root may signal: sudo does it where it asks
    for no password. To kill one it is asked once, as its own end brings the next round.
    """
    found = descendants(os.getpid())
    if number == signal.SIGKILL:
        # One that forks and is gone before we come to it: its next is in the same group as a rule,
        # and no fork escapes what a group gets. (0 and 1 would be our own, and everybody.)
        for its_group in {its_group for _, its_group, _ in found} - {0, 1, os.getpgrp()}:
            send(-its_group, number)
    denied = [
        pid for pid, its_group, _ in found if not send(pid, 0 if its_group == group else number)
    ]
    if number == signal.SIGKILL:
        denied = [pid for pid in denied if pid not in _asked_to_kill]
        _asked_to_kill.update(denied)
    if denied:
        send_as_root(denied, number)


def send(pid: int, number: int) -> bool:
    """Send a signal to a process (a process group when negative); False where we may not.

    It may be gone. A group's members that we may signal get it, whatever the others are.
    """
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def send_as_root(pids: "list[int]", number: int) -> None:
    """Let sudo send a signal, if it's there and needs no password."""
    child = os.fork()
    if not child:
        try:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for fd in range(3):
                os.dup2(nowhere, fd)
            words = ["kill", f"-{int(number)}", *map(str, pids)]
            os.execvp("sudo", ["sudo", "-n", *words])
        finally:
            os._exit(NOT_STARTED)
    os.waitpid(child, 0)


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
