"""The provider `ssh`: the user's own hosts, which already run and answer SSH."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.machines import lab_folder
from lab.machines.inventory import Inventory, Machine
from lab.machines.providers.base import Access, Machines

_WORK = ".cache/push-pull-lab"


@dataclass(frozen=True, slots=True)
class Hosts:
    """The provider `ssh`: it starts no machine and stops none."""

    inventory: Inventory

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        with lab_folder.reserved(lab_folder.folder("ssh", self.inventory)):
            yield _HostMachines({each.name: _access(each) for each in self.inventory.machines})

    def up(self) -> None:
        return

    def down(self) -> bool:
        return False

    def status(self) -> Mapping[str, str]:
        return {machine.name: "not managed" for machine in self.inventory.machines}

    def is_shared(self) -> bool:
        return True

    def own_shell(self, machine: str) -> bool:
        return False


class _HostMachines(Machines):
    foreign = True


def _access(machine: Machine) -> Access:
    return Access(
        provider="ssh",
        machine=machine.name,
        role=machine.role,
        address=machine.address,
        host=machine.ssh.host,
        port=machine.ssh.port,
        user=machine.ssh.user,
        key_file=machine.ssh.key,
        known_hosts=machine.ssh.known_hosts,
        work=_WORK,
        python=machine.ssh.python,
    )
