"""Writes the packets of one link to standard output, as a pcap file.

Deployed to a machine; standard library only; needs root or CAP_NET_RAW. The format is libpcap's
(pcap-savefile(5)), link type Ethernet, with the first 256 bytes of each packet.

It may run under sudo, where the user who started it must not signal it. So it ends at the end of
its standard input, or after LEASE_S seconds of silence there.
"""

import os
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path

LEASE_S = 30
_KEPT = 256  # bytes
_MOST_WAITING = 10_000  # more than a socket's buffer holds
_ETHERNET = 1
_ALL_PROTOCOLS = 0x0003
_WALL_AHEAD_S = time.time() - time.monotonic()  # setting the clock must not reorder packets


def main() -> None:
    address = sys.argv[1]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closing SSH server must not end it too early
    # With a protocol it would take the packets of all links until it is bound to this one.
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sniffer.bind((link_with(address), _ALL_PROTOCOLS))
    os.write(1, struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _KEPT, _ETHERNET))
    os.write(2, b"listening\n")
    heard = time.monotonic()
    while time.monotonic() < heard + LEASE_S:
        readable = select.select([0, sniffer.fileno()], [], [], LEASE_S)[0]
        if 0 in readable:
            heard = time.monotonic()
            if not os.read(0, 4096):
                write_waiting(sniffer)
                return
        if sniffer.fileno() in readable:
            write(sniffer.recv(65536))


def write(packet: bytes) -> None:
    """Write one packet, with the current time."""
    seconds, fraction = divmod(_WALL_AHEAD_S + time.monotonic(), 1)
    kept = packet[:_KEPT]
    head = struct.pack("=IIII", int(seconds), int(fraction * 1e6), len(kept), len(packet))
    os.write(1, head + kept)


def write_waiting(sniffer: socket.socket) -> None:
    """Write the packets that have already arrived, but none that arrive meanwhile."""
    sniffer.setblocking(False)
    for _ in range(_MOST_WAITING):
        try:
            packet = sniffer.recv(65536)
        except BlockingIOError:
            return
        write(packet)


def link_with(address: str) -> str:
    """Return the name of the link that has an address."""
    import fcntl

    if ":" in address:
        return link_with_ipv6(address)
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for _, name in socket.if_nameindex():
        request = struct.pack("256s", name.encode()[:15])
        try:
            answer = fcntl.ioctl(asker, 0x8915, request)  # SIOCGIFADDR
        except OSError:
            continue  # a link without an address
        if socket.inet_ntoa(answer[20:24]) == address:
            return name
    sys.exit(f"no link has the address {address}")


def link_with_ipv6(address: str) -> str:
    """Return the name of the link that has an IPv6 address."""
    wanted = socket.inet_pton(socket.AF_INET6, address).hex()
    for words in map(str.split, Path("/proc/net/if_inet6").read_text().splitlines()):
        if words[0] == wanted:
            return words[5]
    sys.exit(f"no link has the address {address}")


if __name__ == "__main__":
    main()
