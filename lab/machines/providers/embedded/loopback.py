"""The lab without namespaces: machines are plain processes, each with a folder.

Each lab reserves a free block of 127.0.0.0/8, to all of which Linux answers: with 127.87.3.0/24,
192.168.0.161 becomes 127.87.3.161. Machines have no network and no power of their own here.
"""

from lab.machines.inventory import Inventory
from lab.machines.providers.embedded.provider import Embedded, Refused

_WIDEST = 16  # bits of the mask


def provider(inventory: Inventory) -> Embedded:
    """Return the provider for `inventory`."""
    return Embedded(
        name="loopback", inventory=inventory, isolated=False, explain=_explain, widest=_WIDEST
    )


def _explain(step: str, number: int) -> Refused:
    return Refused(f"a machine could not be started: {step} (errno {number})")
