"""The few requests of rtnetlink(7) that a lab makes: links, their states and addresses.

pyroute2 knows all of them, but a guest would need longer to open one of its sockets than for
everything else before its SSH server. Numbers come from the headers `linux/rtnetlink.h`,
`linux/if_link.h`, `linux/if_addr.h` and `linux/veth.h`.
"""

import ipaddress
import os
import socket
import struct

_NETLINK_ROUTE = 0
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS = 16, 17, 20  # RTM_NEWLINK ...
_REQUEST, _ACKNOWLEDGE = 0x1, 0x4  # NLM_F_REQUEST ...
_CREATE = 0x600  # NLM_F_CREATE, and NLM_F_EXCL: fail if it exists
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_PID = 3, 10, 18, 19
_INFO_KIND, _INFO_DATA = 1, 2
_VETH_PEER = 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_UP = 0x1  # IFF_UP
_NO_SEARCH = 0x2  # IFA_F_NODAD

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, sender
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, changed flags
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index


class Netlink:
    """A socket that changes the network namespace in which it was opened.

    Every method returns once the kernel has obeyed, and raises OSError if it refuses.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)

    def __enter__(self) -> "Netlink":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def add_bridge(self, name: str) -> None:
        """Create a bridge that is up."""
        kind = _attribute(_INFO_KIND, b"bridge")
        self._ask(_NEW_LINK, _new_link(name) + _attribute(_IFLA_LINKINFO, kind), _CREATE)

    def add_veth(self, name: str, bridge: int, peer: str, pid: int) -> None:
        """Create a link from a bridge (its index) to the network of a process; that end is up."""
        their_end = _new_link(peer, up=False) + _attribute(_IFLA_NET_NS_PID, struct.pack("=I", pid))
        kind = _attribute(_INFO_KIND, b"veth")
        kind += _attribute(_INFO_DATA, _attribute(_VETH_PEER, their_end))
        our_end = _new_link(name) + _attribute(_IFLA_MASTER, struct.pack("=I", bridge))
        self._ask(_NEW_LINK, our_end + _attribute(_IFLA_LINKINFO, kind), _CREATE)

    def set_link(self, name: str, *, up: bool) -> None:
        """Switch a link on or off."""
        self._ask(_NEW_LINK, _LINK.pack(0, 0, socket.if_nametoindex(name), _UP * up, _UP))

    def delete_link(self, name: str) -> None:
        """Remove a link, and with it its other end."""
        self._ask(_DELETE_LINK, _LINK.pack(0, 0, socket.if_nametoindex(name), 0, 0))

    def add_address(self, name: str, address: str, prefix: int) -> None:
        """Give an address to a link; `prefix` is the length of the network's mask in bits.

        An IPv6 address can be used at once, without a search for another machine that has it.
        """
        ip = ipaddress.ip_address(address)
        packed = ip.packed
        family, flags = (socket.AF_INET, 0) if ip.version == 4 else (socket.AF_INET6, _NO_SEARCH)
        place = _ADDRESS.pack(family, prefix, flags, 0, socket.if_nametoindex(name))
        both = _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        self._ask(_NEW_ADDRESS, place + both, _CREATE)

    def _ask(self, kind: int, body: bytes, flags: int = 0) -> None:
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, kind, _REQUEST | _ACKNOWLEDGE | flags, 0, 0)
        self._socket.send(header + body)
        # The answer is an nlmsgerr: its header, and 0 or the negative errno.
        number = -struct.unpack_from("=i", self._socket.recv(4096), _HEADER.size)[0]
        if number:
            raise OSError(number, f"make the lab's links: {os.strerror(number)}")


def _new_link(name: str, *, up: bool = True) -> bytes:
    return _LINK.pack(0, 0, 0, _UP * up, _UP) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _attribute(kind: int, data: bytes) -> bytes:
    """Return an attribute with the padding after it."""
    length = struct.calcsize("=HH") + len(data)
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)
