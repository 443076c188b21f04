"""Holds a program at a line of its output: it stands in its system call until it may go on.

Deployed where an experiment starts a program with `held=True`; standard library only. The launcher
loads it into its own process. Between fork and exec the program gets a seccomp filter that reports
each `write`, `writev` and `pwritev2` on descriptor 1 here (seccomp_unotify(2)): that needs no
rights, and works for static binaries too. While the program stands in such a call, its bytes are
read from its memory and written to the launcher's standard output, which is the same pipe, up to
the end of the line at which it is to stand. So nothing that the program does after that line has
happened yet.

The program stands before its first line. Each order lets it run until a line, or `free`:

    count NUMBER        the line with this number; the first is 1
    start TEXT          the next line that starts so
    search REGEX        the next line in which this regular expression is found
    free                no line any more: its calls are passed on unread

The notes file gets `held-from TIME` when the program is under the filter, `not-held WHY` if the
system refuses that, or can't go on with it (the program then runs unheld), and `stands NUMBER TIME`
before the line with this number, at which the program then stands, is written; `free TIME TIME`
(CLOCK_REALTIME and CLOCK_MONOTONIC) when no line holds it any more. Called with the path of the
notes and a number of seconds, this script waits for that, and prints the times.

The filter doesn't see what is printed by `sendfile`, `splice` or io_uring, through a descriptor
other than 1, or by a 32-bit program on a 64-bit kernel. With the launcher ends the program too.
"""

import _thread
import contextlib
import ctypes
import errno
import fcntl
import os
import re
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence

# By architecture: AUDIT_ARCH_*, and the numbers of seccomp, write, writev, pwritev2, close,
# close_range, dup2 and dup3. Newer architectures have no dup2.
_NUMBERS = {
    "x86_64": (0xC000003E, (317, 1, 20, 328, 3, 436, 33, 292)),
    "aarch64": (0xC00000B7, (277, 64, 66, 287, 57, 436, 24, 24)),
    "riscv64": (0xC00000F3, (277, 64, 66, 287, 57, 436, 24, 24)),
}
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE = 1 << 3, 1 << 5  # flags of a filter; the second since Linux 5.19
_REPORT, _ALLOW = 0x7FC00000, 0x7FFF0000  # SECCOMP_RET_USER_NOTIF and SECCOMP_RET_ALLOW
_RECEIVE, _SEND, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082104  # SECCOMP_IOCTL_NOTIF_*
_SYNC_WAKE_UP = 1  # since Linux 6.6: caller and holder take turns on one CPU
_CONTINUE = 1  # the answer that lets the kernel carry out the call itself
_CALL = struct.Struct("=QIIiIQ6Q")  # struct seccomp_notif
_ANSWER = struct.Struct("=QqiI")  # struct seccomp_notif_resp
_HERE = 2**64 - 1  # the offset with which pwritev2 does the same as writev
_MOST = 2**63 - 1  # for more the kernel refuses the call
_LONGEST = 1 << 16  # bytes that are kept of an unfinished line
_MOST_PROCESSES = 32  # whose memory is kept open

_libc = ctypes.CDLL(None, use_errno=True)


class LineHolder:
    """Holds one program. `arm` is called in the new process, the rest in the launcher."""

    def __init__(self, notes: str) -> None:
        self._notes = notes
        self._ours, self._theirs = socket.socketpair()
        self._listener = -1
        self._free = False
        self._target: "Target | None" = None
        self._orders: "list[Target | None]" = []
        self._doorbell, self._bell = os.pipe()
        self._memories: "dict[int, int]" = {}
        self._same_output: "set[int]" = set()  # processes whose descriptor 1 is the launcher's
        self._count, self._unfinished = 0, b""

    def arm(self) -> None:
        """Put the calling process under the filter; if that is refused, it runs without."""
        try:
            listener = install_filter()
            socket.send_fds(self._theirs, [b"\n"], [listener])
        except OSError as error:
            self._theirs.sendall(f"{error.strerror}\n".encode())
        self._ours.close()
        self._theirs.close()

    def begin(self, program: int) -> None:
        """Take over the calls of the new process, in a thread."""
        self._theirs.close()
        why, listeners, _, _ = socket.recv_fds(self._ours, 4096, 1)
        self._ours.close()
        if not listeners:
            self._note(f"not-held {why.decode().strip() or 'it ended too early'}")
            return
        self._listener = listeners[0]
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._listener, _SET_FLAGS, _SYNC_WAKE_UP)
        guard(program, self._listener)
        self._note(f"held-from {time.time()!r}")
        _thread.start_new_thread(self._hold, ())

    def order(self, text: str) -> None:
        """Take an order; ValueError if it isn't one."""
        target = None if text == "free" else Target(text)
        self._free = self._free or target is None
        self._orders.append(target)
        os.write(self._bell, b"!")
        if self._free:
            self._note(f"free {time.time()!r} {time.monotonic()!r}")

    def _hold(self) -> None:
        """Answer the program's calls until no process is left that could make one."""
        call, answer = bytearray(_CALL.size), bytearray(_ANSWER.size)
        nothing = bytes(_CALL.size)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while True:
            call[:] = nothing  # the kernel insists
            try:
                fcntl.ioctl(self._listener, _RECEIVE, call)
            except OSError:  # the caller was killed, or nobody is left
                if any(event & select.POLLHUP for _, event in poll.poll(0)):
                    return
                continue
            number, pid, _, which, _, _, *arguments = _CALL.unpack(call)
            written = 0 if self._free else self._carry_out(pid, which, arguments)
            flags = 0 if written else _CONTINUE
            _ANSWER.pack_into(answer, 0, number, max(0, written), min(0, written), flags)
            try:
                fcntl.ioctl(self._listener, _SEND, answer)
            except OSError:  # it was killed where it stood
                continue

    def _carry_out(self, pid: int, which: int, arguments: "Sequence[int]") -> int:
        """Carry out a process's call; return the bytes written, or an error as a negative number.

        It is 0 if the kernel is to do it.
        """
        if which not in (_WRITE, _WRITEV, _PWRITEV2):
            self._same_output.clear()  # its descriptor 1 is about to change
            return 0
        if max(arguments[1:3]) > _MOST or (which == _PWRITEV2 and arguments[3] != _HERE):
            return 0  # the kernel refuses that
        try:
            if pid not in self._same_output:
                if identity(f"/proc/{pid}/fd/1") != identity("/proc/self/fd/1"):
                    return 0
                self._same_output.add(pid)
            data = self._read(pid, which, *arguments[1:3])
        except (OSError, OverflowError, MemoryError) as error:
            if os.path.exists(f"/proc/{pid}"):
                self._note(f"not-held its memory can't be read: {error}")
                self._free = True
            return 0
        return self._write(data)

    def _write(self, data: bytes) -> int:
        """Write for a process, standing at each line that is ordered; see `_carry_out`."""
        self._wait_for_order()
        done = 0
        while done < len(data):
            target, end = self._target, None
            if target is not None:
                end = target.end(data, done, self._count, self._unfinished)
            if end is not None:
                number = self._count + data.count(b"\n", done, end)
                self._note(f"stands {number} {time.time()!r}")
            try:
                written = os.write(1, data[done:end] if done or end else data)
            except BlockingIOError as full:  # by now it may have room, for more than is ordered
                return done or -(full.errno or errno.EAGAIN)
            except OSError:  # of a pipe that is closed: the process is to get that
                return done
            self._account(data[done : done + written])
            done += written
            if done == end:
                self._target = None
                self._wait_for_order()
        return done

    def _wait_for_order(self) -> None:
        while self._target is None and not self._free:
            os.read(self._doorbell, 1)
            self._target = self._orders.pop(0)

    def _account(self, written: bytes) -> None:
        self._count += written.count(b"\n")
        if written.endswith(b"\n"):
            self._unfinished = b""
        else:
            _, newline, rest = written.rpartition(b"\n")
            self._unfinished = (rest if newline else self._unfinished + rest)[-_LONGEST:]

    def _read(self, pid: int, which: int, address: int, size: int) -> bytes:
        """Return what a process is about to write."""
        if which == _WRITE:
            return self._memory(pid, address, size)
        vector = struct.iter_unpack("=QQ", self._memory(pid, address, 16 * size))
        return b"".join(self._memory(pid, *part) for part in vector if part[1])

    def _memory(self, pid: int, address: int, size: int) -> bytes:
        """Read a process's memory; OSError if that is impossible."""
        if pid in self._memories:
            data = os.pread(self._memories[pid], size, address)
            if len(data) == size:
                return data
            os.close(self._memories.pop(pid))  # it has another memory since an exec
        if len(self._memories) >= _MOST_PROCESSES:
            os.close(self._memories.pop(next(iter(self._memories))))
        self._memories[pid] = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._memories[pid], size, address)

    def _note(self, line: str) -> None:
        try:
            with open(self._notes, "a") as file:
                file.write(f"{line}\n")
        except OSError:
            return


def guard(program: int, listener: int) -> None:
    """Fork a process that kills the program's process group should the launcher end before it.

    When a launcher is killed, the kernel closes its listener before it kills the program, so that a
    call in which the program stands would fail first, and the program go on for a moment. The guard
    has the listener open until the program is gone, for a second at most.
    """
    launcher, alive = os.pipe()
    if os.fork():
        os.close(launcher)
        os.set_inheritable(alive, False)  # it stays open until the launcher ends
        return
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        low, high = sorted((launcher, listener))
        for first, end in ((0, low), (low + 1, high), (high + 1, os.sysconf("SC_OPEN_MAX"))):
            os.closerange(first, end)
        poll = select.poll()
        poll.register(launcher, select.POLLIN)
        poll.register(listener, 0)  # says when the last process under the filter has ended
        if launcher in dict(poll.poll()):
            os.kill(-program, signal.SIGKILL)
            poll.unregister(launcher)
            poll.poll(1000)
    finally:
        os._exit(0)


def main() -> None:
    path, patience = sys.argv[1:]
    end = time.monotonic() + float(patience)
    while time.monotonic() < end:
        with open(path) as file:
            for word, _, times in (line.strip().partition(" ") for line in file):
                if word == "free":
                    print(times)
                    return
        select.select([], [], [], 0.005)


class Target:
    """The line until which a program is to run, as an order has it; ValueError for no order."""

    def __init__(self, order: str) -> None:
        word, _, value = order.partition(" ")
        if word not in ("count", "start", "search"):
            raise ValueError(f"{order[:40]!r} is not an order")
        self._number = int(value) if word == "count" else 0
        pattern = re.compile(value if word == "search" else re.escape(value))
        self._matches = pattern.search if word == "search" else pattern.match

    def end(self, data: bytes, begin: int, count: int, unfinished: bytes) -> "int | None":
        """Return where the line ends in the data from `begin` on; None if it isn't there.

        Before that the program has printed `count` lines and an unfinished one.
        """
        if self._number and count + data.count(b"\n", begin) < self._number:
            return None
        while (newline := data.find(b"\n", begin)) >= 0:
            count += 1
            line = unfinished + data[begin:newline]
            if self._is_it(count, line):
                return newline + 1
            begin, unfinished = newline + 1, b""
        return None

    def _is_it(self, number: int, line: bytes) -> bool:
        if self._number:
            return number == self._number
        return self._matches(line.decode("utf-8", "backslashreplace")) is not None


def identity(path: str) -> "tuple[int, int]":
    """Return which file, pipe or socket a descriptor is."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def install_filter() -> int:
    """Put the calling process under the filter; return the listener's descriptor, or OSError."""
    machine = os.uname().machine
    if machine not in _NUMBERS:
        raise OSError(0, f"the lab can't hold programs on the architecture {machine}")
    program = ctypes.create_string_buffer(filter_program(*_NUMBERS[machine]))
    length = (len(program) - 1) // 8
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE, _NEW_LISTENER):
        about = struct.pack("HxxxxxxQ", length, ctypes.addressof(program))
        listener: int = _libc.syscall(_NUMBERS[machine][1][0], _SET_MODE_FILTER, flags, about)
        if listener >= 0:
            return listener
    raise OSError(ctypes.get_errno(), f"seccomp: {os.strerror(ctypes.get_errno())}")


def filter_program(architecture: int, calls: "Sequence[int]") -> bytes:
    """Return the classic BPF program that reports what is written to descriptor 1.

    It also reports the calls that may turn descriptor 1 into something else. The offsets are those
    of `struct seccomp_data` on little-endian machines: nr 0, arch 4, the arguments from 16 on.
    """
    _, write, writev, pwritev2, close, close_range, dup2, dup3 = calls
    load, jump_if, answer = 0x20, 0x15, 0x06
    lines = [
        (load, 0, 0, 4),
        (jump_if, 0, 12, architecture),  # else allow
        (load, 0, 0, 0),
        (jump_if, 6, 0, write),
        (jump_if, 5, 0, writev),
        (jump_if, 4, 0, pwritev2),
        (jump_if, 3, 0, close),
        (jump_if, 7, 0, close_range),
        (jump_if, 3, 0, dup2),
        (jump_if, 2, 4, dup3),  # else allow
        (load, 0, 0, 16),
        (jump_if, 3, 2, 1),
        (load, 0, 0, 24),
        (jump_if, 1, 0, 1),
        (answer, 0, 0, _ALLOW),
        (answer, 0, 0, _REPORT),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


_WRITE, _WRITEV, _PWRITEV2 = _NUMBERS.get(os.uname().machine, (0, (0, -1, -1, -1)))[1][1:4]

if __name__ == "__main__":
    main()
