"""Says what keeps a silent program from printing, if it is not that it waits for messages.

Deployed where a run becomes silent while messages are outstanding; standard library only. Called
with the path of a launcher's notes, it prints a line for each process of that program:

    stopped PID WAITS   it was stopped (SIGSTOP, or a debugger)
    computes PID WAITS  it has used a processor, or waited for one, for most of LOOK_S
    sleeps PID WAITS    its main thread sleeps for a time that it has chosen itself

WAITS is how often its main thread has waited in its life: the same as long as it is one sleep. A
program that waits for messages does none of these: it is in a call such as poll or epoll_wait.
"""

import os
import sys
import time

LOOK_S = 0.3


def main() -> None:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import launcher

    with open(sys.argv[1]) as file:
        below = int(file.readline().split()[1])
    pids = [pid for pid, _, _ in launcher.descendants(below)]
    first = {pid: look(pid) for pid in pids}
    if any(one.runs or one.sleeps for one in first.values()):
        time.sleep(LOOK_S)
    for pid in pids:
        if word := told(first[pid], look(pid)):
            print(word, pid, first[pid].waits)


class Look:
    """What /proc shows of a process that may be gone, or another user's.

    Attributes:
        stopped, runs: whether one of its threads is.
        sleeps, waits: whether its main thread does, and how often it has waited so far.
        busy_s: for how many seconds each thread has used a processor, or waited for one.
    """

    def __init__(self) -> None:
        self.stopped = self.runs = self.sleeps = False
        self.waits = 0
        self.busy_s: "dict[str, float]" = {}


def look(pid: int) -> Look:
    found = Look()
    folder = f"/proc/{pid}"
    try:
        for task in os.listdir(f"{folder}/task"):
            state = read(f"{folder}/task/{task}/stat").rpartition(b")")[2].split()[0]
            found.stopped = found.stopped or state in (b"T", b"t")
            found.runs = found.runs or state == b"R"
            used, queued, _ = read(f"{folder}/task/{task}/schedstat").split()
            found.busy_s[task] = (int(used) + int(queued)) / 1e9
        waits = read(f"{folder}/status").partition(b"\nvoluntary_ctxt_switches:")[2]
        found.waits = int(waits.split()[0])
        # proc(5): the kernel's function in which the main thread stands.
        found.sleeps = b"nanosleep" in read(f"{folder}/wchan")
    except (OSError, ValueError, IndexError):
        return found
    return found


def told(before: Look, now: Look) -> str:
    """Return what two looks, LOOK_S apart, say of a process; empty if it just waits."""
    if now.stopped:
        return "stopped"
    if any(
        now.busy_s[one] - before.busy_s.get(one, now.busy_s[one]) > LOOK_S / 2 for one in now.busy_s
    ):
        return "computes"
    return "sleeps" if before.sleeps and now.sleeps and before.waits == now.waits else ""


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    main()
