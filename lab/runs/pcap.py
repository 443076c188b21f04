"""Reads the TCP packets of a machine's lab link, as packet_capture.py wrote them."""

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FIN, SYN, RST = 0x01, 0x02, 0x04

_FILE_HEAD, _PACKET_HEAD, _ETHERNET_HEAD = 24, 16, 14  # bytes
_IPV4, _IPV6, _TCP = 0x0800, 0x86DD, 6
_IPV6_HEAD = 40  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One TCP packet: its time, in UNIX seconds on the machine's clock, and its flags."""

    t: float
    source: str
    target: str
    flags: int


def read(path: Path) -> Iterator[Packet]:
    """Yield the TCP packets of a pcap file, except for a truncated one at the end."""
    content = path.read_bytes()
    at = _FILE_HEAD
    while at + _PACKET_HEAD <= len(content):
        seconds, micros, kept, _ = struct.unpack_from("=IIII", content, at)
        frame = content[at + _PACKET_HEAD : at + _PACKET_HEAD + kept]
        at += _PACKET_HEAD + kept
        if (packet := _tcp(frame, seconds + micros / 1e6)) is not None:
            yield packet


def _tcp(frame: bytes, t: float) -> Packet | None:
    network, kind = frame[_ETHERNET_HEAD:], int.from_bytes(frame[12:14], "big")
    if kind == _IPV4 and len(network) >= 20 and network[9] == _TCP:
        ends, transport = (network[12:16], network[16:20]), network[(network[0] & 15) * 4 :]
    elif kind == _IPV6 and len(network) >= _IPV6_HEAD and network[6] == _TCP:
        ends, transport = (network[8:24], network[24:40]), network[_IPV6_HEAD:]
    else:
        return None
    if len(transport) < 14:
        return None
    source, target = (str(ipaddress.ip_address(end)) for end in ends)
    return Packet(t=t, source=source, target=target, flags=transport[13])
