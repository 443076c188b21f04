"""Runs a program, and reports the connections that the kernel has for it.

    connections.py EVENTS COMMAND...

EVENTS are those of docs/program-protocol.md that the program's library doesn't report, with commas
between them. A child of the program looks for them every few milliseconds, writes them to the
program's stderr, one line in one write, and dies with the program. `late_s` is the time since its
last look: so late a report may be.
"""

import ctypes
import json
import os
import signal
import sys
import time

_LOOK_S = 0.003
_ESTABLISHED = "01"
_PR_SET_PDEATHSIG = 1


def main() -> None:
    events, argv = sys.argv[1].split(","), sys.argv[2:]
    program = os.getpid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(0)
        os.close(1)
        watch(program, places(argv), events)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]}: cannot be started: {error.strerror}\n".encode())
        os._exit(127)


def places(argv: "list[str]") -> "set[int]":
    """Return the ports of its addresses."""
    addresses = (argv[at + 1] for at, word in enumerate(argv[:-1]) if word == "--address")
    return {int(address.rpartition(":")[2]) for address in addresses}


def watch(program: int, ports: "set[int]", events: "list[str]") -> None:
    """Report each connection of a program that begins or ends, as long as it lives."""
    ahead = time.time() - time.monotonic()
    known: set[str] = set()
    looked = time.monotonic()
    while os.getppid() == program:
        before, looked = looked, time.monotonic()
        there = established(ports)
        new = there - known
        begun = new & inodes(program) if new else set()
        for event, changed in (("connected", begun), ("disconnected", known - there)):
            if event in events:
                m = time.monotonic()
                late_s = round(m - before, 3)
                line = json.dumps({"t": ahead + m, "m": m, "event": event, "late_s": late_s})
                for _ in changed:
                    os.write(2, f"{line}\n".encode())
        known = (known & there) | begun
        time.sleep(_LOOK_S)
    os._exit(0)


def established(ports: "set[int]") -> "set[str]":
    """Return the inodes of all connections from or to these ports; none before it is accepted."""
    found = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        try:
            with open(table) as file:
                rows = [line.split() for line in file.readlines()[1:]]
        except OSError:  # without IPv6
            continue
        for row in rows:
            if row[3] == _ESTABLISHED and row[9] != "0":
                ends = {int(place.rpartition(":")[2], 16) for place in row[1:3]}
                if ends & ports:
                    found.add(row[9])
    return found


def inodes(program: int) -> "set[str]":
    """Return those of a program's sockets."""
    found = set()
    folder = f"/proc/{program}/fd"
    try:
        for name in os.listdir(folder):
            link = os.readlink(f"{folder}/{name}")
            if link.startswith("socket:["):
                found.add(link[8:-1])
    except OSError:  # it was closed meanwhile: look again later
        pass
    return found


if __name__ == "__main__":
    main()
