"""Cuts what a machine sends at a point of ZMTP 2 or 3, the protocol of ZeroMQ, to the byte.

Deployed with wire.py, whose order then has `zmtp`, the point, instead of `wire`: `message` is the
number of the message after which all is lost (the first is 1), `inside` that of a message of which
only a part gets through, `before` the name of a command that doesn't. Standard library only.

It reads the TCP streams of connections that are made while it is there. Messages are counted in the
order in which they leave, on all connections together.
"""

import struct

TYPE_CHECKING = False  # importing typing takes long
if TYPE_CHECKING:
    from collections.abc import Callable

_VNET = struct.Struct("=BBHHHH")  # struct virtio_net_hdr, as in wire.py
_IP = _VNET.size + 14  # behind the head of Ethernet
_IPV6_HEAD = 40
_EXTENSIONS = (0, 43, 60)  # heads of IPv6 between its own and that of TCP
_TCP = 6
_SYN, _FIN = 2, 1
_GREETING, _GREETING_OF_2 = 64, 12
_LAST_SOCKET_TYPE = 0x0A  # of ZMTP 2
_MORE, _LONG, _COMMAND = 1, 2, 4  # flags of a frame
_LONGEST_NAME = 1 + 255
_NEEDS_CHECKSUM = 1


class Point:
    """The point at which all is cut, and the messages so far of all streams."""

    def __init__(self, at: "dict[str, object]") -> None:
        self._message, self._inside = at.get("message", 0), at.get("inside", 0)
        self._before = str(at.get("before", "")).encode()
        self.messages = 0  # those that have begun

    def after_header(self, flags: int, header: int, size: int, *, is_first: bool) -> "int | None":
        """Return after how many bytes of a message's frame to cut, by its header; None if not."""
        self.messages += is_first
        if self.messages == self._message and not flags & _MORE:
            return header + size
        if self.messages == self._inside and is_first:
            return header + size if flags & _MORE else (header + size) // 2
        return None

    def is_before(self, name: bytes) -> bool:
        """Return whether to cut before a command with this name."""
        return bool(self._before) and name == self._before


class Stream:
    """One direction of a connection, understood as far as it has been seen."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._ahead = b""  # what isn't understood yet: a header, or a command's name
        self._skip = 0  # bytes that come before the next header
        self._is_greeted = False
        self._has_identity = False  # whether the next frame is the identity, of ZMTP 2 alone
        self._is_first = True  # whether the next frame begins a message
        self._passes: "int | None" = None  # bytes until the cut, if it is known
        self.is_zmtp = True

    def feed(self, data: bytes) -> "int | None":
        """Return how many of the next bytes come before the cut; None if it is not in them."""
        if self._passes is None and self.is_zmtp:
            self._read(data)
        if self._passes is None:
            return None
        passes, self._passes = max(0, self._passes), self._passes - len(data)
        return passes if passes <= len(data) else None

    def _read(self, data: bytes) -> None:
        """Understand more; note where the cut is, from the beginning of these bytes."""
        at = -len(self._ahead)  # of what is read, from the beginning of the data
        rest = self._ahead + data
        while self._passes is None and self.is_zmtp:
            step = min(self._skip, len(rest))
            at, rest, self._skip = at + step, rest[step:], self._skip - step
            used = 0 if self._skip else self._understand(rest, at)
            if not used:
                break
            self._skip = used
        self._ahead = b"" if self._skip else rest[: 9 + _LONGEST_NAME]

    def _understand(self, rest: bytes, at: int) -> int:
        """Return the length of the greeting or frame that begins here; 0 if it isn't known yet."""
        if not self._is_greeted:
            if len(rest) < 13:
                return 0
            return self._greet(rest)
        if not rest:
            return 0
        flags = rest[0]
        header = 9 if flags & _LONG else 2
        if len(rest) < header:
            return 0
        size = int.from_bytes(rest[1:header], "big")
        if self._has_identity:
            self._has_identity = False
            self._passes = at if self._point.is_before(b"READY") else None
            return header + size
        if flags & _COMMAND:
            return header + size if self._passes_command(rest, header, size, at) else 0
        cut = self._point.after_header(flags, header, size, is_first=self._is_first)
        self._is_first = not flags & _MORE
        self._passes = None if cut is None else at + cut
        return header + size

    def _greet(self, rest: bytes) -> int:
        """Understand the greeting, and return its length.

        In ZMTP 3 a minor version and a mechanism follow the version. In ZMTP 2, and to a peer that
        speaks it, it is the type of the socket, and then a frame with its identity.
        """
        self._is_greeted, version = True, rest[10]
        is_2 = 1 <= version <= 3 and rest[11] <= _LAST_SOCKET_TYPE and rest[12] in (0, _LONG)
        is_3 = version >= 3 and rest[12:13].isupper()
        self.is_zmtp = (rest[0], rest[9]) == (0xFF, 0x7F) and (is_2 or is_3)
        self._has_identity = is_2
        return _GREETING_OF_2 if is_2 else _GREETING

    def _passes_command(self, rest: bytes, header: int, size: int, at: int) -> bool:
        """Return whether a command is known and may pass; note the cut if it is before it."""
        length = rest[header] if size and len(rest) > header else 0
        if size and len(rest) < header + 1 + length:
            return False
        if self._point.is_before(rest[header + 1 : header + 1 + length]):
            self._passes = at
            return False
        return True


class Cut:
    """Carries packets as a wire does, and none any more from the point on."""

    def __init__(self, at: "dict[str, object]", checksum: "Callable[[bytes], int]") -> None:
        self._point, self._checksum = Point(at), checksum
        self._streams: "dict[bytes, tuple[Stream, int]]" = {}  # with the next sequence number
        self._is_cut = False
        self.count = dict.fromkeys(("seen", "lost", "struck", "messages", "unread"), 0)

    def carry(self, frame: bytes, now: float) -> "list[tuple[float, bytes]]":
        """Return the frame, or what of it gets through, to be sent now."""
        self.count["seen"] += 1
        if not self._is_cut and (passes := self._read(frame)) is not None:
            self._is_cut = True
            self.count["struck"] = 1
            frame = shortened(frame, passes, self._checksum) if passes else b""
            self.count["lost"] += not passes
            return [(now, frame)] if frame else []
        self.count["lost"] += self._is_cut
        return [] if self._is_cut else [(now, frame)]

    def _read(self, frame: bytes) -> "int | None":
        """Return how many bytes of a packet's payload come before the cut; None if all do."""
        tcp = tcp_of(frame)
        if tcp is None:
            return None
        source, to, number = struct.unpack_from(">HHI", frame, tcp)
        payload = frame[tcp + 4 * (frame[tcp + 12] >> 4) : _end(frame)]
        key = _addresses(frame) + struct.pack(">HH", source, to)
        if frame[tcp + 13] & _SYN:
            self._streams[key] = Stream(self._point), number + 1
            return None
        if key not in self._streams:
            self.count["unread"] += bool(payload)
            return None
        stream, due = self._streams[key]
        again = (due - number) % 2**32  # bytes that were seen before
        self.count["unread"] += bool(payload) and again >= 2**31  # some are missing
        if again >= len(payload):
            return None
        self._streams[key] = stream, (number + len(payload)) % 2**32
        passes = stream.feed(payload[again:])
        self.count["unread"] += not stream.is_zmtp
        self.count["messages"] = self._point.messages
        return None if passes is None else again + passes


def shortened(frame: bytes, size: int, checksum: "Callable[[bytes], int]") -> bytes:
    """Return a TCP packet with only so many bytes of its payload; `checksum` is the Internet's."""
    flags, kind, header, segment, start, offset = _VNET.unpack_from(frame)
    tcp = tcp_of(frame)
    assert tcp is not None
    begin = tcp + 4 * (frame[tcp + 12] >> 4)
    data = bytearray(frame[: begin + size])
    if begin + size < _end(frame):
        data[tcp + 13] &= ~_FIN
    if _is_ipv6(frame):
        struct.pack_into(">H", data, _IP + 4, len(data) - _IP - _IPV6_HEAD)
    else:
        struct.pack_into(">H", data, _IP + 2, len(data) - _IP)
        struct.pack_into(">H", data, _IP + 10, 0)
        struct.pack_into(">H", data, _IP + 10, checksum(bytes(data[_IP:tcp])))
    # IPv6 has longer fields there, whose further bytes are 0 and don't change the sum.
    pseudo = _addresses(frame) + struct.pack(">HH", _TCP, len(data) - tcp)
    struct.pack_into(">H", data, tcp + 16, 0)
    if flags & _NEEDS_CHECKSUM:  # the kernel adds the rest to the pseudo-header's sum
        struct.pack_into(">H", data, tcp + 16, checksum(pseudo) ^ 0xFFFF)
    else:
        struct.pack_into(">H", data, tcp + 16, checksum(pseudo + bytes(data[tcp:])))
    if size <= segment:  # one segment, which needs no cutting up
        kind, segment = 0, 0
    _VNET.pack_into(data, 0, flags, kind, header, segment, start, offset)
    return bytes(data)


def tcp_of(frame: bytes) -> "int | None":
    """Return where the TCP segment of a packet begins; None if it has none."""
    if not _is_ipv6(frame):
        return _IP + 4 * (frame[_IP] & 15) if frame[_IP + 9] == _TCP else None
    kind, at = frame[_IP + 6], _IP + _IPV6_HEAD
    while kind in _EXTENSIONS and at + 2 <= len(frame):  # RFC 8200, section 4
        kind, at = frame[at], at + 8 * (1 + frame[at + 1])
    return at if kind == _TCP and at + 20 <= len(frame) else None


def _is_ipv6(frame: bytes) -> bool:
    return frame[_IP] >> 4 == 6


def _addresses(frame: bytes) -> bytes:
    """Return both addresses of an IP packet."""
    return frame[_IP + 8 : _IP + 40] if _is_ipv6(frame) else frame[_IP + 12 : _IP + 20]


def _end(frame: bytes) -> int:
    """Return where an IP packet ends, as short frames are padded."""
    if _is_ipv6(frame):
        begin, place = _IP + _IPV6_HEAD, _IP + 4
    else:
        begin, place = _IP, _IP + 2
    length: int = struct.unpack_from(">H", frame, place)[0]
    return begin + length if length else len(frame)
