"""Which provider the user gets: the one they name, or the best that this computer can do."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lab.core.errors import LabError
from lab.machines.inventory import Inventory
from lab.machines.providers import ssh
from lab.machines.providers.base import Machines, Provider
from lab.machines.providers.embedded import loopback, namespaces
from lab.machines.providers.embedded.provider import Refused
from lab.machines.providers.vagrant import provider

_MAKERS: Mapping[str, Callable[[Inventory], Provider]] = {
    "namespaces": namespaces.provider,
    "loopback": loopback.provider,
    "ssh": ssh.Hosts,
    "vagrant": provider.Vms,
}


def choose(name: str, inventory: Inventory, say: Callable[[str], None]) -> Provider:
    """Return the provider called `name`, or for `auto` the best one.

    `say` is told in one line what is lost when that isn't the first choice. Raises LabError where
    there is none of that name.
    """
    if name == "auto" and (vms := provider.Vms(inventory)).is_up():
        return vms
    if name == "auto":
        return _Best(namespaces.provider(inventory), loopback.provider(inventory), say)
    if name not in _MAKERS:
        raise LabError(
            f"there is no provider '{name}'", hint=f"choose one of: auto, {', '.join(_MAKERS)}"
        )
    return _MAKERS[name](inventory)


@dataclass(frozen=True, slots=True)
class _Best:
    """Machines from `first`, or from `second` where the kernel refuses."""

    first: Provider
    second: Provider
    say: Callable[[str], None]

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        with contextlib.ExitStack() as stack:
            try:
                machines = stack.enter_context(self.first.lab(keep=keep))
            except Refused as refusal:
                self._tell(refusal)
                machines = stack.enter_context(self.second.lab(keep=keep))
            yield machines

    def up(self) -> None:
        try:
            self.first.up()
        except Refused as refusal:
            self._tell(refusal)
            self.second.up()

    def down(self) -> bool:
        return any([self.first.down(), self.second.down()])

    def status(self) -> Mapping[str, str]:
        states = self.second.status()
        return states if "running" in states.values() else self.first.status()

    def is_shared(self) -> bool:
        return self.first.is_shared() or self.second.is_shared()

    def own_shell(self, machine: str) -> bool:
        return False

    def _tell(self, refusal: Refused) -> None:
        self.say(
            f"{refusal.what}. The machines are plain processes instead, without a network"
            " or power of their own; `fab check --provider namespaces` says how to allow them."
        )
