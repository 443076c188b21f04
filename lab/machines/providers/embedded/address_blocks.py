"""Blocks of 127.0.0.0/8 for labs of plain processes: each lab reserves one for itself.

A block is a /24, or a /16 for a wider network. Bound UDP sockets reserve it, and the kernel closes
them with the lab. The owner of a whole /16 binds its first address exclusively, and owners of parts
of it share that address. The owner of a /24 binds its first address, on another port.
"""

import contextlib
import errno
import ipaddress
import random
import socket
from collections.abc import Iterator

_SMALL, _LARGE = 24, 16  # bits of a block's mask
_FIRST, _LAST = ipaddress.IPv4Address("127.1.0.0"), ipaddress.IPv4Address("127.255.0.0")
_LARGE_PORT, _SMALL_PORT = 57004, 57005
_TRIES = 1000


class Block:
    """A free block with room for `network`, reserved for as long as this object lives.

    Raises OSError if none is free, or if `network` is wider than a /16.
    """

    def __init__(self, network: str) -> None:
        self._network = ipaddress.IPv4Network(network)
        if self._network.prefixlen < _LARGE:
            raise OSError(errno.EINVAL, f"find room for {network}")
        prefix = _SMALL if self._network.prefixlen >= _SMALL else _LARGE
        self._block, self._guards = _take_one(prefix)

    def address(self, lab_address: str) -> str:
        """Return the address in the block for an address in the network."""
        place = int(ipaddress.IPv4Address(lab_address)) - int(self._network.network_address)
        return str(self._block[place])


def _take_one(prefix: int) -> tuple[ipaddress.IPv4Network, list[socket.socket]]:
    """Return a block and the sockets that reserve it."""
    for _ in range(_TRIES):
        start = random.randrange(int(_FIRST), int(_LAST))
        block = ipaddress.IPv4Network((start, prefix), strict=False)
        with contextlib.suppress(OSError):
            return block, list(_guards(block))
    raise OSError(errno.EADDRINUSE, "find a free block of 127.0.0.0/8")


def _guards(block: ipaddress.IPv4Network) -> Iterator[socket.socket]:
    """Bind the sockets that reserve a block; OSError if it is reserved, wholly or partly."""
    whole = block.prefixlen == _LARGE
    large = block if whole else block.supernet(new_prefix=_LARGE)
    yield _bound(large, _LARGE_PORT, shared=not whole)
    if not whole:
        yield _bound(block, _SMALL_PORT, shared=False)


def _bound(block: ipaddress.IPv4Network, port: int, *, shared: bool) -> socket.socket:
    guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        # The kernel shares a UDP port among sockets that all set this option before binding.
        guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(shared))
        guard.bind((str(block[0]), port))
    except OSError:
        guard.close()
        raise
    return guard
