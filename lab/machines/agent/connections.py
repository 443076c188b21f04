"""Runs a program, and reports the connections that the kernel has for it.

    connections.py EVENTS COMMAND...

EVENTS are those of docs/program-protocol.md that the program's library doesn't report, with commas
between them. A child of the program looks for them every few milliseconds, writes them to the
program's stderr, one line in one write, and dies with the program. `late_s` is the time since its
last look: so late a report may be. `peer` is the other end's address; one of IPv4 is written as
such, even if the program uses IPv6.
"""

import ctypes
import json
import os
import signal
import socket
import struct
import sys
import time

_LOOK_S = 0.003
_PR_SET_PDEATHSIG = 1
_TCP_ESTABLISHED = 1
_MAPPED = bytes(10) + b"\xff\xff"

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_DONE = 3
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_HEADER = struct.Struct("=LHHLL")
_REQUEST = struct.Struct("=BB2xL48x")  # struct inet_diag_req_v2: family, protocol, states
_ENDS = struct.Struct("!4xHH16x16s")  # of struct inet_diag_msg: its ports, the other end
_INODE = struct.Struct("=68xL")
_ANSWER_BYTES = 65536


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
                    line = json.dumps({**about, "peer": peer})
                    os.write(2, f"{line}\n".encode())
        known = {one: peer for one, peer in known.items() if one in there} | begun
        time.sleep(_LOOK_S)
    os._exit(0)


def established(ports: "set[int]") -> "dict[str, str]":
    """Return the inodes of all connections from or to these ports, each with its other end.

    There is none before it is accepted.
    """
    try:
        rows = [*asked(socket.AF_INET), *asked(socket.AF_INET6)]
    except OSError:  # a kernel without sock_diag
        rows = [*listed("/proc/self/net/tcp"), *listed("/proc/self/net/tcp6")]
    return {inode: peer for ends, peer, inode in rows if inode != "0" and ends & ports}


def asked(family: int) -> "list[tuple[set[int], str, str]]":
    """Return the ports, the other end and the inode of each connection that is established.

    The kernel leaves out those that are over. After thousands of short ones the tables of /proc
    take longer to read than a connection may last. See sock_diag(7).

    Raises:
        OSError: this kernel can't be asked.
    """
    rows: list[tuple[set[int], str, str]] = []
    size = 4 if family == socket.AF_INET else 16
    message = _HEADER.pack(_HEADER.size + _REQUEST.size, _SOCK_DIAG_BY_FAMILY, _DUMP, 0, 0)
    message += _REQUEST.pack(family, socket.IPPROTO_TCP, 1 << _TCP_ESTABLISHED)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.sendall(message)
        while True:
            answer = memoryview(kernel.recv(_ANSWER_BYTES))
            while answer:
                length, kind, *_ = _HEADER.unpack_from(answer)
                if kind == _NLMSG_DONE:
                    return rows
                if kind != _SOCK_DIAG_BY_FAMILY:
                    raise OSError("no answer of sock_diag")
                mine, other, peer = _ENDS.unpack_from(answer, _HEADER.size)
                (inode,) = _INODE.unpack_from(answer, _HEADER.size)
                rows.append(({mine, other}, shown(peer[:size]), str(inode)))
                answer = answer[(length + 3) & ~3 :]


def listed(table: str) -> "list[tuple[set[int], str, str]]":
    """Return the same of a table of /proc; nothing where it is missing."""
    rows = []
    try:
        with open(table) as file:
            lines = [line.split() for line in file.readlines()[1:]]
    except OSError:  # without IPv6
        return []
    for row in lines:
        if int(row[3], 16) == _TCP_ESTABLISHED:
            ends = {int(place.rpartition(":")[2], 16) for place in row[1:3]}
            rows.append((ends, shown(packed(row[2].partition(":")[0])), row[9]))
    return rows


def packed(address: str) -> bytes:
    """Return an address of /proc in network order: its words are numbers of this machine."""
    words = bytes.fromhex(address)
    if sys.byteorder == "big":
        return words
    return b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))


def shown(address: bytes) -> str:
    """Return an address as usual."""
    if len(address) == 16 and address[:12] != _MAPPED:
        return socket.inet_ntop(socket.AF_INET6, address)
    return socket.inet_ntop(socket.AF_INET, address[-4:])


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
