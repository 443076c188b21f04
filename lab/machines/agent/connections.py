"""Runs a program, and reports the connections that the kernel has for it.

    connections.py EVENTS COMMAND...

EVENTS are those of docs/program-protocol.md that the program's library doesn't report, with commas
between them. A child of the program looks for them every few milliseconds, writes them to the
program's stderr, one line in one write, and dies with the program. `late_s` is the time since its
last look: so late a report may be. `peer` is the other end's IPv4 address.
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
_MAPPED = bytes.fromhex("0000FFFF" if sys.byteorder == "big" else "FFFF0000")


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
    known: dict[str, str] = {}
    looked = time.monotonic()
    while os.getppid() == program:
        before, looked = looked, time.monotonic()
        there = established(ports)
        new = there.keys() - known
        begun = {one: there[one] for one in new & inodes(program)} if new else {}
        over = {one: peer for one, peer in known.items() if one not in there}
        for event, changed in (("connected", begun), ("disconnected", over)):
            if event in events:
                m = time.monotonic()
                about = {"t": ahead + m, "m": m, "event": event, "late_s": round(m - before, 3)}
                for peer in changed.values():
                    line = json.dumps({**about, **({"peer": peer} if peer else {})})
                    os.write(2, f"{line}\n".encode())
        known = {one: peer for one, peer in known.items() if one in there} | begun
        time.sleep(_LOOK_S)
    os._exit(0)


def established(ports: "set[int]") -> "dict[str, str]":
    """Return the inodes of all connections from or to these ports, each with its other end.

    There is none before it is accepted.
    """
    found = {}
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
                    found[row[9]] = ipv4(row[2].partition(":")[0])
    return found


def ipv4(address: str) -> str:
    """Return an address of /proc/net as usual; empty for one of IPv6 that is none of IPv4."""
    words = bytes.fromhex(address)
    if len(words) == 16 and (any(words[:8]) or words[8:12] != _MAPPED):
        return ""
    number = words[-4:] if sys.byteorder == "big" else words[:-5:-1]
    return ".".join(map(str, number))


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
