"""An inventory with more or fewer machines of one role, as a file that repeats a run with them."""

import hashlib
import ipaddress
import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.machines.inventory import Inventory, Machine
from pushpull.machines.inventory.schema import MAX_MACHINES


def resized(inventory: Inventory, role: str, number: int, folder: Path) -> Inventory:
    """Return an inventory with the first `number` machines of a role, and new ones if it has less.

    A new machine has the next free name and address. The inventory is that of a file in `folder`,
    which `write` makes.

    Raises:
        LabError: there would be too many machines, or more than the network has addresses.
    """
    kept = inventory.with_role(role)[:number]
    others = [machine for machine in inventory.machines if role not in machine.roles]
    missing = number - len(kept)
    if len(others) + number > MAX_MACHINES:
        raise LabError(f"a lab has at most {MAX_MACHINES} machines", where=str(inventory.path))
    new = list(itertools.islice(_new_machines(inventory, role), missing))
    if len(new) < missing:
        raise LabError(
            f"{inventory.network} has no addresses for {number} machines with the role '{role}'",
            where=str(inventory.path),
            hint="make `network` wider",
        )
    result = replace(inventory, machines=(*others, *kept, *new))
    digest = hashlib.sha256(text_of(result).encode()).hexdigest()
    path = folder / f"inventory-{number}-{role}-{digest[:8]}.yaml"
    return replace(result, path=path, digest=digest)


def text_of(inventory: Inventory) -> str:
    """Return an inventory as the text of a file."""
    import yaml

    machines = {
        machine.name: {"role": _role(machine), "address": machine.address, **machine.settings}
        for machine in inventory.machines
    }
    whole = {"network": inventory.network, "machines": machines}
    if inventory.settings:
        whole["providers"] = dict(inventory.settings)
    return str(yaml.safe_dump(whole, sort_keys=False))


def _role(machine: Machine) -> str | list[str]:
    return machine.roles[0] if len(machine.roles) == 1 else list(machine.roles)


def write(inventory: Inventory) -> None:
    """Write the file of a resized inventory, unless it exists."""
    with file_errors(inventory.path):
        if not inventory.path.exists():
            inventory.path.parent.mkdir(parents=True, exist_ok=True)
            inventory.path.write_text(text_of(inventory), "utf-8")


def _new_machines(inventory: Inventory, role: str) -> Iterator[Machine]:
    """Yield machines named as the last one with this role, numbered and addressed on from it."""
    last = inventory.with_role(role)[-1]
    used = {machine.name for machine in inventory.machines}
    stem = re.sub(r"-?[0-9]+$", "", last.name)
    names = (name for k in itertools.count(1) if (name := f"{stem}-{k}") not in used)
    for address in _free_addresses(inventory, ipaddress.ip_address(last.address)):
        yield replace(last, name=next(names), address=address, settings={})


def _free_addresses(
    inventory: Inventory, after: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> Iterator[str]:
    """Yield the addresses that no machine has: first those after a certain one."""
    network = ipaddress.ip_network(inventory.network)
    used = {machine.address for machine in inventory.machines}
    later = range(int(after) + 1, int(network.broadcast_address))
    earlier = range(int(network.network_address) + 1, int(after))
    for number in itertools.chain(later, earlier):
        address = str(type(after)(number))
        if address not in used:
            yield address
