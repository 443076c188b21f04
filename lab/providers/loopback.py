"""The lab where namespaces are forbidden: machines are plain processes, each with a folder.

Each lab takes a free block of 127.0.0.0/8, all of which Linux answers on: with 127.87.3.0/24,
192.168.0.161 becomes 127.87.3.161. A machine has no network and no power of its own here.
"""

import contextlib
import ipaddress
import random
import socket

from lab.errors import LabError
from lab.inventory import Inventory
from lab.providers.embedded import Embedded, Places, Refused

_SMALLEST = 24  # bits of a block's mask
_WIDEST = 16
_GUARD_PORT = 57005
_TRIES = 100


def provider(inventory: Inventory) -> Embedded:
    """Return the provider for `inventory`. Raises LabError for a network wider than a /16."""
    network = ipaddress.IPv4Network(inventory.network)
    if network.prefixlen < _WIDEST:
        raise LabError(
            f"a lab of plain processes has room for a /{_WIDEST} network, not for {network}",
            where=str(inventory.path),
            cure=f"make `network` a /{_WIDEST} or smaller",
        )
    return Embedded(
        name="loopback",
        inventory=inventory,
        isolated=False,
        prefix=8,
        place=lambda: _place(inventory, network),
        explain=_explain,
    )


def _place(inventory: Inventory, network: ipaddress.IPv4Network) -> Places:
    block, guard = _free_block(min(network.prefixlen, _SMALLEST))
    start = int(network.network_address)
    addresses = {
        machine.name: str(block[int(ipaddress.IPv4Address(machine.address)) - start])
        for machine in inventory.machines
    }
    return Places(addresses=addresses, guard=guard)


def _free_block(prefix: int) -> tuple[ipaddress.IPv4Network, socket.socket]:
    """Return a block and the socket that keeps it: a lab holds its block's first address."""
    for _ in range(_TRIES):
        # From 127.1.0.0 on: 127.0.0.0/16 has addresses that computers use for themselves.
        low, high = (
            int(ipaddress.IPv4Address("127.1.0.0")),
            int(ipaddress.IPv4Address("127.255.0.0")),
        )
        block = ipaddress.IPv4Network((random.randrange(low, high), prefix), strict=False)
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            guard.bind((str(block[0]), _GUARD_PORT))
            return block, guard
        guard.close()
    raise LabError("no block of 127.0.0.0/8 is free", cure="take down labs: `fab down`")


def _explain(step: str, number: int) -> Refused:
    return Refused(f"a machine could not be started: {step} (errno {number})")
