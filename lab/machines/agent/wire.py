"""Carries what a machine sends over a wire of the lab's own, which delays, loses and changes it.

Deployed to machines whose kernel has no netem; standard library only; runs as root. Standard input
first carries a JSON line as for rule_keeper.py, whose commands lead the packets to the link `inlet`
instead of to `link`; with `wire`, the properties of `Wire`, or with `zmtp`, the point of that
protocol at which all is cut (see zmtp_cut.py). From there this script takes them, and sends them on
`link` with the `mark` that lets them pass. The last command leads them there,
and the first of those that undo it no more. At the end it sends what it still holds, and prints
what became of the packets, as words and numbers.

What happens to a packet depends on its number and the seed alone, not on when it comes.
"""

import contextlib
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

TYPE_CHECKING = False  # importing typing takes long
if TYPE_CHECKING:
    from pushpull.machines.agent.zmtp_cut import Cut

LEASE_S = 30

_SOL_PACKET, _VNET_HEADER = 263, 15  # linux/if_packet.h: PACKET_VNET_HDR
_SO_MARK = 36
_ALL = 0x0003  # ETH_P_ALL: only IP packets are led there
_OUTGOING = 4  # PACKET_OUTGOING
_LAST_S = 0.002  # after the last packet that was led here
_LONGEST = 1 << 17  # more than a packet that the kernel has not cut yet
_NEEDS_CHECKSUM = 1  # VIRTIO_NET_HDR_F_NEEDS_CSUM
_OFFLOAD = struct.Struct("=BBHHHH")  # struct virtio_net_hdr: flags, kind, lengths, start, offset
_ETHERNET = 14  # bytes of a frame before its IP packet
_IPV6_HEAD = 40


class Wire:
    """What happens to packets: times in seconds, chances from 0 to 1, the rate in bytes a second.

    As on a real wire packets keep their order, except for those that are chosen to overtake the
    others by skipping the delay.
    """

    def __init__(self, properties: "dict[str, float]") -> None:
        self._is = properties
        self._dice = random.Random(int(properties["seed"]))
        self._free_at = self._last = 0.0
        self.count = dict.fromkeys(("seen", "lost", "duplicated", "overtook", "corrupted"), 0)

    def carry(self, frame: bytes, now: float) -> "list[tuple[float, bytes]]":
        """Return when each copy of a frame is to arrive, and what it then is."""
        # All are drawn for each packet, so that the next one's fate doesn't depend on this one's.
        lost, doubled, damaged, overtakes, late, place = (self._dice.random() for _ in range(6))
        self.count["seen"] += 1
        if lost < self._is["loss"]:
            self.count["lost"] += 1
            return []
        if damaged < self._is["corrupt"]:
            self.count["corrupted"] += 1
            frame = corrupted(frame, place)
        due = self._sent_at(len(frame), now)
        if overtakes < self._is["reorder"]:
            self.count["overtook"] += 1
        else:
            due += max(0.0, self._is["delay"] + self._is["jitter"] * (2 * late - 1))
            due = self._last = max(due, self._last)
        if doubled < self._is["duplicate"]:
            self.count["duplicated"] += 1
            return [(due, frame)] * 2
        return [(due, frame)]

    def _sent_at(self, size: int, now: float) -> float:
        if not self._is["rate"]:
            return now
        self._free_at = max(now, self._free_at) + (size - _OFFLOAD.size) / self._is["rate"]
        return self._free_at


def main() -> None:
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import rule_keeper

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    order = json.loads(rule_keeper.read_line())
    try:
        failed = rule_keeper.do_all(order["do"][:-1], "")
        if not failed:
            taking = take_from(order["inlet"])  # before a packet is led there
            failed = rule_keeper.do_all(order["do"][-1:], "")
        if failed:
            print(failed, flush=True)
            return
        if "zmtp" in order:
            import zmtp_cut

            wire: "Wire | Cut" = zmtp_cut.Cut(order["zmtp"], checksum)
        else:
            wire = Wire(order["wire"])
        sending = send_to(order["link"], order["mark"])
        relay(wire, taking, sending)
        rule_keeper.do_all(order["undo"][:1], "")
        drain(wire, taking, sending)
    finally:
        rule_keeper.do_all(order["undo"], "")
    print(*(f"{name} {number}" for name, number in wire.count.items()), flush=True)


def take_from(link: str) -> socket.socket:
    """Return a socket for the IP packets of a link, each with its offloading header."""
    # With a protocol it would take the packets of all links until it is bound to this one, and
    # another wire's would be sent twice, see packet(7).
    taking = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    taking.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    taking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    taking.bind((link, _ALL))
    return taking


def send_to(link: str, mark: int) -> socket.socket:
    """Return a socket that sends such packets on a link."""
    sending = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sending.setsockopt(_SOL_PACKET, _VNET_HEADER, 1)
    sending.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)
    sending.bind((link, 0))
    return sending


def relay(wire: "Wire | Cut", taking: socket.socket, sending: socket.socket) -> None:
    """Carry packets until the end of standard input, or LEASE_S of silence there."""
    held: "list[tuple[float, int, bytes]]" = []
    number, heard = 0, time.monotonic()
    print(f"done {time.time()!r} {time.monotonic()!r}", flush=True)
    while True:
        now = time.monotonic()
        while held and held[0][0] <= now:
            send(sending, heapq.heappop(held)[2])
        wait = heard + LEASE_S - now
        if held:
            wait = min(wait, held[0][0] - now)
        readable, _, _ = select.select([taking.fileno(), 0], [], [], max(0.0, wait))
        if 0 in readable:
            heard = time.monotonic()
            if not os.read(0, 4096):
                break
        elif time.monotonic() > heard + LEASE_S:
            break
        if taking.fileno() in readable:
            for due, copy in take(wire, taking):
                number += 1
                heapq.heappush(held, (due, number, copy))
    for _, _, frame in sorted(held):
        send(sending, frame)


def take(wire: "Wire | Cut", taking: socket.socket) -> "list[tuple[float, bytes]]":
    """Take one packet, and return when each copy of it is to arrive."""
    frame, (_, _, kind, *_) = taking.recvfrom(_LONGEST)
    return [] if kind == _OUTGOING else wire.carry(frame, time.monotonic())


def drain(wire: "Wire | Cut", taking: socket.socket, sending: socket.socket) -> None:
    """Send what was led here before the rule was gone."""
    while select.select([taking], [], [], _LAST_S)[0]:
        for _, frame in sorted(take(wire, taking)):
            send(sending, frame)


def send(sending: socket.socket, frame: bytes) -> None:
    with contextlib.suppress(OSError):  # the link is down, so it is lost
        sending.send(frame)


def corrupted(frame: bytes, place: float) -> bytes:
    """Return a frame with one bit flipped behind its IP header, so that its checksum is wrong."""
    flags, kind, header, segment, start, offset = _OFFLOAD.unpack_from(frame)
    data = bytearray(frame[_OFFLOAD.size :])
    if flags & _NEEDS_CHECKSUM:  # now, as it would be made from the damaged data later
        at = start + offset
        data[at : at + 2] = struct.pack(">H", checksum(bytes(data[start:])))
        flags &= ~_NEEDS_CHECKSUM
    is_ipv6 = data[_ETHERNET] >> 4 == 6
    begin = _ETHERNET + (_IPV6_HEAD if is_ipv6 else 4 * (data[_ETHERNET] & 15))
    bit = int(place * 8 * (len(data) - begin))
    data[begin + bit // 8] ^= 1 << bit % 8
    return _OFFLOAD.pack(flags, kind, header, segment, 0, 0) + bytes(data)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of data that has its pseudo-header's sum in it."""
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF or 0xFFFF


if __name__ == "__main__":
    main()
