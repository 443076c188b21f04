"""Runs one program on a machine, and ends all of its processes on demand or when the lab is gone.

Deployed to every machine; uses little of the standard library, as every start waits for it.
Standard input first carries what to run (see `order`). After that each line is a number: a signal
for every process of the program, or 0 for none. The end of standard input means that the harness
is gone, deliberately or not: the launcher kills every process of the program at once. It does the
same after LEASE_S of silence, because a dead connection may never end the input, and a live
harness sends something every PULSE_S.

The program inherits standard output and standard error, so its output never passes through here.
As a subreaper the launcher becomes the parent of every process that the program leaves behind, so
it finds and ends them all. It exits after the last one, with the program's own exit status (128 + n
if signal n ended it). As a program may exit with any status, the launcher reports about itself in
its notes file, a word and a value per line:

    pid NUMBER          its own process; if this is missing, it ran nothing (exit status FAILED)
    not-started WHY     the system refused to execute the program (exit status NOT_STARTED)
    SIGNAL TIME         SIGSTOP or SIGCONT had reached all of the program's processes
    lease TIME          standard input was silent for LEASE_S, so the launcher ended the program

If a program is `held`, line_holder.py adds notes of its own, and HOLD_ORDER in place of a signal is
followed by an order for it: a line with a number of bytes, then so many bytes.
"""

import ctypes
import os
import select
import sys
import time

TYPE_CHECKING = False  # importing typing takes long
if TYPE_CHECKING:
    import signal

    from pushpull.machines.agent.line_holder import LineHolder
else:
    import _signal as signal  # all but the enumerations, which take a third of a start

LEASE_S = 30
PULSE_S = 10
NOT_STARTED = 127  # the exit status, as in a shell
KILLED_S = 0.002  # a killed process has ended by then as a rule
REAPED_AT_ONCE = 50  # processes; more may end faster than they are reaped, and orders must be heard
FAILED = 125  # the exit status if no readable order arrived, so that no program ran
HOLD_ORDER = 1000  # no signal has this number
_LONGEST_NUMBER = 9  # digits of the order's size, or of a signal
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl
_asked_to_kill: "set[int]" = set()


def order(
    argv: "list[str]", env: "dict[str, str]", cwd: str, notes: str, *,
    by_line: bool = False, held: bool = False,
) -> bytes:  # fmt: skip
    """Encode an order to run `argv` in the folder `cwd` with `env` added to the environment.

    With `by_line` the C library is asked to write each line at once, see line_buffering.py; if it
    is `held`, the program stands before its first line, see line_holder.py.

    The format: a line with a number of bytes, then so many bytes, separated by NULs: the folder,
    the notes file, `by_line` and `held` as 1 or nothing each, the number of variables, each as
    NAME=VALUE, and the words of the command. (Not JSON, as importing json takes 12 ms.)
    """
    variables = [f"{name}={value}" for name, value in env.items()]
    flags = ["1" if flag else "" for flag in (by_line, held)]
    parts = [cwd, notes, *flags, str(len(variables)), *variables, *argv]
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
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing SSH server must not end it too early
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    orders = Orders(0)
    try:
        cwd, notes, by_line, held, count, *rest = orders.take_order()
        write_pid(notes)
    except (OSError, ValueError) as error:
        os.write(2, f"launcher: no program was run: {error}\n".encode())
        os._exit(FAILED)
    environment = {**os.environ, **dict(pair.partition("=")[::2] for pair in rest[: int(count)])}
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    holder: "LineHolder | None" = None
    if held:
        import line_holder

        holder = line_holder.LineHolder(notes)
    program = start(rest[int(count) :], environment, cwd, notes, bool(by_line), holder)
    status = watch(program, orders, wake, notes, holder)
    for stream in (1, 2):  # their end says that all are gone, before the kernel has ended this one
        os.close(stream)
    os._exit(status)


def write_pid(path: str) -> None:
    """Write the pid where `confirm` finds it."""
    with open(path, "w") as file:
        file.write(f"pid {os.getpid()}\n")


def note(path: str, word: object, value: object) -> None:
    """Add a line to the notes, if possible: the folder may be gone, or the disk full."""
    try:
        with open(path, "a") as file:
            file.write(f"{word} {value}\n")
    except OSError:
        return


def confirm(number: str, path: str, patience: str) -> None:
    """Print when all of a launcher's processes were stopped (SIGSTOP) or running (SIGCONT).

    Prints the UNIX time and CLOCK_MONOTONIC, in seconds. `path` is the launcher's notes file.
    Prints nothing if the processes are no longer in that state, or if the note doesn't appear
    within `patience` seconds.
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
    """Return whether, within a second, all below a launcher are stopped, or none that is left."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        states = [state == "T" for _, _, state in descendants(launcher)]
        if states and all(states) if number == signal.SIGSTOP else not any(states):
            return True
        select.select([], [], [], 0.0005)
    return False


class Orders:
    """Reads standard input without a buffer, which would hide data from select."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self.ended = False

    def read(self) -> None:
        """Read what is available, or wait for it; set `ended` at the end of the input."""
        data = os.read(self._fd, 65536)
        self._rest += data
        self.ended = not data

    def take_order(self) -> "list[str]":
        """Wait for the order, and return its parts.

        Raises OSError if the harness goes away or falls silent before the order is complete, and
        ValueError if the input is not an order.
        """
        parts = self.take(self.take_size()).decode("utf-8", "surrogateescape").split("\0")
        if len(parts) < 6 or not parts[4].isdigit():
            raise ValueError("the input is not an order")
        return parts

    def take_size(self) -> int:
        """Take the order's first line, skipping earlier pulses, which only renew the lease."""
        while True:
            size = self.take_number()
            if size is None:
                self.read_in_time()
            elif size:
                return size

    def read_in_time(self) -> None:
        """Read more input; OSError at its end, or after LEASE_S of silence."""
        if not select.select([self._fd], [], [], LEASE_S)[0]:
            raise OSError(f"no order arrived within {LEASE_S} s")
        self.read()
        if self.ended:
            raise OSError("no order arrived: standard input has ended")

    def take_number(self) -> "int | None":
        """Take the next line, None if it is incomplete; ValueError if it is not a number."""
        line, newline, rest = self._rest.partition(b"\n")
        if not newline and len(line) <= _LONGEST_NUMBER:
            return None
        if not line.isdigit() or len(line) > _LONGEST_NUMBER:
            raise ValueError(f"{line[:40]!r} is not a number")
        self._rest = rest
        return int(line)

    def take(self, size: int) -> bytes:
        """Wait for the next `size` bytes, and take them."""
        while len(self._rest) < size:
            self.read_in_time()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def start(
    argv: "list[str]", env: "dict[str, str]", cwd: str, notes: str, by_line: bool,
    holder: "LineHolder | None",
) -> int:  # fmt: skip
    """Start the program in its own session; the kernel kills it if the launcher is killed."""
    program = os.fork()
    if program:
        if holder:
            holder.begin(program)
        return program
    try:
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(cwd)
        if by_line:
            import line_buffering

            env = line_buffering.added_to(env)
        if holder:
            holder.arm()
        os.execvpe(argv[0], argv, env)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        note(notes, "not-started", why)
        os.write(2, f"{argv[0]}: cannot be started: {why}\n".encode())
    finally:
        os._exit(NOT_STARTED)


def watch(program: int, orders: Orders, wake: int, notes: str, holder: "LineHolder | None") -> int:
    """Forward signals until no process is left; return the program's exit status."""
    status = NOT_STARTED
    heard = time.monotonic()
    obey(orders, program, wake, notes, holder)  # what arrived together with the order
    while True:
        for _ in range(REAPED_AT_ONCE):
            try:
                pid, how = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return status
            if not pid:
                break
            if pid == program:
                code = os.waitstatus_to_exitcode(how)
                status = code if code >= 0 else 128 - code
        if orders.ended:
            signal_descendants(signal.SIGKILL)
        sources = [wake] if orders.ended else [wake, 0]
        patience = None if orders.ended else max(0.0, heard + LEASE_S - time.monotonic())
        readable, _, _ = select.select(sources, [], [], 0.0 if pid else patience)  # more to reap?
        if wake in readable:
            os.read(wake, 4096)
        if 0 in readable:
            heard = time.monotonic()
            orders.read()
            obey(orders, program, wake, notes, holder)
        elif time.monotonic() >= heard + LEASE_S:
            note(notes, "lease", repr(time.time()))
            orders.ended = True  # for the next round to act on


def obey(orders: Orders, program: int, wake: int, notes: str, holder: "LineHolder | None") -> None:
    """Forward the signals that were read, and note when all processes were stopped, or none.

    All but signals and orders for the line holder counts as the end of the harness.
    """
    try:
        while (number := orders.take_number()) is not None:
            if number == HOLD_ORDER and holder:
                order = orders.take(orders.take_size()).decode("utf-8", "surrogateescape")
                word, _, signaled = order.partition(" ")
                if word == "free" and signaled:
                    # Pending while it stands: it takes effect as the first thing after that.
                    send(-program, int(signaled))
                    holder.order(word)
                    forward(int(signaled), program, notes)
                else:
                    holder.order(order)
            elif number == signal.SIGKILL:
                # Most programs are a process group and nothing else: then the first child that ends
                # leaves none to look for. Otherwise the next rounds kill until none is left.
                send(-program, number)
                select.select([wake], [], [], KILLED_S)
                orders.ended = True
            elif number:
                forward(number, program, notes)
    except (OSError, ValueError) as error:
        note(notes, "misunderstood", error)
        orders.ended = True


def forward(number: int, program: int, notes: str) -> None:
    """Send a signal to the whole program."""
    # The program's process group is reached at once; processes that left it must be found.
    send(-program, number)
    signal_descendants(number, program)
    if number in (signal.SIGSTOP, signal.SIGCONT) and all_are(number, os.getpid()):
        note(notes, number, f"{time.time()!r} {time.monotonic()!r}")


def signal_descendants(number: int, group: int = 0) -> None:
    """Send signal `number` to every process below the caller, except those in process `group`.

    Only root may signal processes of another user, as under sudo or su; sudo does that if it needs
    no password. It is asked only once to kill a process, as the end of sudo itself triggers the
    next round.
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
    """Send a signal to a process (a process group if negative); False if that is not permitted.

    The process may be gone. In a group, every member that we may signal gets it.
    """
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def send_as_root(pids: "list[int]", number: int) -> None:
    """Let sudo send a signal, if it is installed and needs no password."""
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
    """Return pid, process group and state of all descendants, parents before children."""
    children: "dict[int, list[tuple[int, int, str]]]" = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent, group = read(f"/proc/{name}/stat").rpartition(b")")[2].split()[:3]
            except OSError:
                continue
            found_one = (int(name), int(group), state.decode())
            children.setdefault(int(parent), []).append(found_one)
    found = list(children.get(ancestor, []))
    for pid, _, _ in found:
        found.extend(children.get(pid, []))
    return found


def read(path: str) -> bytes:
    """Read a small file of /proc; a file object would take three times as long."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 4096)
    finally:
        os.close(file)


if __name__ == "__main__":
    main()
