"""Blocks of 127.0.0.0/8 for labs of plain processes: each lab takes one that nobody else has."""

import contextlib
import ipaddress
import random
import socket

from lab.errors import LabError

_SMALLEST = 24  # bits of a block's mask
_FIRST, _LAST = ipaddress.IPv4Address("127.1.0.0"), ipaddress.IPv4Address("127.255.0.0")
_GUARD_PORT = 57005
_TRIES = 100


class Block:
    """A free block, as large as `network`; ours as long as this object lives."""

    def __init__(self, network: str) -> None:
        self._network = ipaddress.IPv4Network(network)
        self._block, self._guard = _take_one(min(self._network.prefixlen, _SMALLEST))

    def address(self, lab_address: str) -> str:
        """Return the address in the block that stands for one of the network."""
        place = int(ipaddress.IPv4Address(lab_address)) - int(self._network.network_address)
        return str(self._block[place])


def _take_one(prefix: int) -> tuple[ipaddress.IPv4Network, socket.socket]:
    """Return a block and the socket that holds it: a lab listens at its block's first address."""
    for _ in range(_TRIES):
        start = random.randrange(int(_FIRST), int(_LAST))
        block = ipaddress.IPv4Network((start, prefix), strict=False)
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            guard.bind((str(block[0]), _GUARD_PORT))
            return block, guard
        guard.close()
    raise LabError("no block of 127.0.0.0/8 is free", cure="take down labs: `fab down`")
