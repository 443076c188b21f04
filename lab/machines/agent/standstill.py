"""Says what keeps a silent program from printing, if it is not that it waits for messages.

Deployed where a run becomes silent while messages are outstanding; standard library only. Called
with the path of a launcher's notes, it prints a line for what threads of that program do:

    stopped THREAD WAITS    it was stopped (SIGSTOP, or a debugger)
    sleeps THREAD WAITS     it sleeps for a time that it has chosen itself
    computes PID 0          this process uses a processor or a disk for most of LOOK_S, or would if
                            the computer were not busy

WAITS is how often the thread has waited in its life: the same as long as it is one sleep. THREAD is
a number, or PARENT.K for a process that another one of the program has started, as its K-th that is
left. Then its parent's waits count as well: a shell that sleeps again starts another process.

A program that waits for messages does none of these: it is in a call such as poll or epoll_wait.
"""

import os
import sys
import time

LOOK_S = 0.3
LOOKS = 10

# Calls that wait for files: which arguments are the number of files and the time limit.
_FILES = {  # by their numbers: poll, select, pselect6, ppoll
    "x86_64": {b"7": (2, 3), b"23": (1, 5), b"270": (1, 5), b"271": (2, 3)},
    "aarch64": {b"72": (1, 5), b"73": (2, 3)},
}
# The call that waits for another thread: the fourth argument is the time limit.
_FUTEX = {"x86_64": b"202", "aarch64": b"98"}
_NO_LIMIT = (0, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


def main() -> None:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import launcher

    with open(sys.argv[1]) as file:
        below = int(file.readline().split()[1])
    pids = [pid for pid, _, _ in launcher.descendants(below)]
    first, ticks = {pid: threads(pid) for pid in pids}, {pid: used(pid) for pid in pids}
    busy = dict.fromkeys(pids, 0)
    may_rest = any(map(is_busy, pids)) or any(t.sleeps for all_ in first.values() for t in all_)
    for _ in range(LOOKS if may_rest else 0):
        time.sleep(LOOK_S / LOOKS)
        for pid in pids:
            busy[pid] += is_busy(pid)
    others: "dict[int, int]" = {}  # how many processes each has started
    for pid in pids:
        if busy[pid] > LOOKS / 2 or used(pid) - ticks[pid] > LOOK_S / 2:
            print("computes", pid, 0)
        parent = parent_of(pid)
        asleep = {t.tid: t.waits for t in first[pid] if t.sleeps}
        for thread in threads(pid):
            name, waits = str(thread.tid), thread.waits
            if thread.tid == pid and parent in pids:
                name, waits = (
                    f"{parent}.{others.get(parent, 0)}",
                    waits + Thread(parent, parent).waits,
                )
                others[parent] = others.get(parent, 0) + 1
            if thread.stopped:
                print("stopped", name, waits)
            elif thread.sleeps and asleep.get(thread.tid) == thread.waits:
                print("sleeps", name, waits)


class Thread:
    """What /proc shows of a thread that may be gone, or another user's."""

    def __init__(self, pid: int, tid: int) -> None:
        self.tid = tid
        self.stopped = self.sleeps = False
        self.waits = 0
        folder = f"/proc/{pid}/task/{tid}"
        try:
            self.stopped = of_stat(f"{folder}/stat")[0] in (b"T", b"t")
            waits = read(f"{folder}/status").partition(b"\nvoluntary_ctxt_switches:")[2]
            self.waits = int(waits.split()[0])
            # proc(5): the kernel's function in which it stands, and the call that led there.
            self.sleeps = b"nanosleep" in read(f"{folder}/wchan")
            self.sleeps = self.sleeps or is_sleep(read(f"{folder}/syscall").split(), pid == tid)
        except (OSError, ValueError, IndexError):
            return


def threads(pid: int) -> "list[Thread]":
    return [Thread(pid, tid) for tid in threads_of(pid)]


def threads_of(pid: int) -> "list[int]":
    """Return the threads of a process; none of one that is gone."""
    try:
        return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def is_sleep(call: "list[bytes]", is_main: bool) -> bool:
    """Return whether a call waits for a time, and for no file; or the main thread for another.

    Other threads than the main one wait for each other with a time limit in many languages, as
    those of a Java virtual machine, whatever the program does.
    """
    machine = os.uname().machine
    if call[0] == _FUTEX.get(machine):
        return is_main and int(call[4], 16) not in _NO_LIMIT
    files, limit = _FILES.get(machine, {}).get(call[0], (0, 0))
    return bool(files) and int(call[files], 16) == 0 and int(call[limit], 16) not in _NO_LIMIT


def is_busy(pid: int) -> bool:
    """Return whether a thread of a process runs, waits for its turn to, or for a disk."""
    for tid in threads_of(pid):
        try:
            if of_stat(f"/proc/{pid}/task/{tid}/stat")[0] in (b"R", b"D"):
                return True
        except (OSError, IndexError):
            continue
    return False


def used(pid: int) -> float:
    """Return the seconds for which a process, and its children that are gone, used a processor."""
    try:
        return sum(map(int, of_stat(f"/proc/{pid}/stat")[11:15])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return 0.0


def parent_of(pid: int) -> int:
    try:
        return int(of_stat(f"/proc/{pid}/stat")[1])
    except (OSError, ValueError, IndexError):
        return 0


def of_stat(path: str) -> "list[bytes]":
    """Return what follows the name in a stat file: the state first."""
    return read(path).rpartition(b")")[2].split()


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    main()
