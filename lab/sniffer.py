"""Writes the packets of one link to standard output, as a pcap file, until killed.

Deployed to a machine; standard library only, and root's right (or CAP_NET_RAW). The format is that
of libpcap (pcap-savefile(5)), link type Ethernet; of each packet its first 256 bytes are kept.
"""

import os
import socket
import struct
import sys
import time

_KEPT = 256  # bytes
_ETHERNET = 1
_ALL_PROTOCOLS = 0x0003


def main() -> None:
    address = sys.argv[1]
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(_ALL_PROTOCOLS))
    sniffer.bind((link_with(address), 0))
    os.write(1, struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _KEPT, _ETHERNET))
    os.write(2, b"listening\n")
    wall_ahead = time.time() - time.monotonic()  # a clock that is set must not disorder the packets
    while True:
        packet = sniffer.recv(65536)
        seconds, fraction = divmod(wall_ahead + time.monotonic(), 1)
        kept = packet[:_KEPT]
        head = struct.pack("=IIII", int(seconds), int(fraction * 1e6), len(kept), len(packet))
        os.write(1, head + kept)


def link_with(address: str) -> str:
    """Return the name of the link that has an address."""
    import fcntl

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


if __name__ == "__main__":
    main()
