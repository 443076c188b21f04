"""Chooses the provider: the one that the user names, or the best that this computer supports."""

import contextlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault, Scope
from pushpull.machines import provider_plugins
from pushpull.machines.inventory import Inventory
from pushpull.machines.providers.base import Auto, Machines, Provider, Refused

_T = TypeVar("_T")


def choose(name: str, inventory: Inventory, say: Callable[[str], None]) -> Provider:
    """Return the provider called `name`, or for `auto` the best one.

    `say` gets one line about what is lost if that isn't the first choice. Raises LabError if there
    is none with that name, or if it can't be loaded.
    """
    if name == "auto":
        return _best(inventory, say)
    found = provider_plugins.found()
    if name not in found:
        raise LabError(
            f"there is no provider '{name}'", hint=f"choose one of: auto, {', '.join(found)}"
        )
    if error := found[name].error:
        raise error
    provider: Provider = found[name].value(inventory)
    return provider


def usable() -> Sequence[type[Provider]]:
    """Return the providers that can be loaded."""
    return [each.value for each in provider_plugins.found().values() if each.error is None]


def can_do(faults: Collection[Fault]) -> str:
    """Return a hint: which providers can do all these faults; all can do those of processes."""
    needed = {fault for fault in faults if fault.scope is not Scope.PROCESS}
    names = [f"--provider {each.name}" for each in usable() if needed <= each.faults]
    return f"another provider can: {' or '.join(names)}" if names else "no provider here can"


def order_of_auto() -> list[str]:
    """Return in words what `auto` tries, in order."""
    return [
        f"{each.name} if it is up" if auto.only_if_up else each.name for auto, each in _offered()
    ]


def refusals(provider: Provider) -> Sequence[tuple[str, str]]:
    """Return what `auto` tried before the provider that it took: what was refused, and a hint."""
    if not isinstance(provider, _FirstThatCan):
        return ()
    return [(f"{refusal.what}. {loses}", refusal.hint) for refusal, loses in provider.refused]


def _best(inventory: Inventory, say: Callable[[str], None]) -> Provider:
    for auto, each in _offered():
        if auto.only_if_up and (provider := each(inventory)).is_up():
            return provider
    makeable = [each(inventory) for auto, each in _offered() if not auto.only_if_up]
    return _FirstThatCan(makeable, say)


def _offered() -> list[tuple[Auto, type[Provider]]]:
    """Return what `auto` may choose, in order."""
    offered = [(each.auto, each) for each in usable() if each.auto is not None]
    return sorted(offered, key=lambda offer: (not offer[0].only_if_up, offer[0].order))


class _FirstThatCan(Provider):
    """Machines of the first provider that this computer doesn't refuse."""

    name = "auto"
    summary = "the first of several that this computer supports"
    makes_machines = True  # as `auto` offers no others, unless they are up

    def __init__(self, offered: Sequence[Provider], say: Callable[[str], None]) -> None:
        super().__init__(offered[0].inventory)
        self._offered = offered
        self._say = say
        self.refused: list[tuple[Refused, str]] = []  # each with what is lost by that

    @contextlib.contextmanager
    def lab(self, *, keep: bool) -> Iterator[Machines]:
        with contextlib.ExitStack() as stack:
            yield self._first(lambda provider: stack.enter_context(provider.lab(keep=keep)))

    def look(self) -> AbstractContextManager[Machines]:
        running = (each for each in self._offered if "running" in each.status().values())
        return next(running, self._offered[0]).look()

    def up(self) -> None:
        self._first(lambda provider: provider.up())

    def down(self) -> bool:
        were_up = [provider.down() for provider in self._offered]
        return any(were_up)

    def status(self) -> Mapping[str, str]:
        states = [provider.status() for provider in self._offered]
        return next((each for each in states if "running" in each.values()), states[0])

    def is_shared(self) -> bool:
        return any(provider.is_shared() for provider in self._offered)

    def kept_in(self) -> Path | None:
        return next(filter(None, (provider.kept_in() for provider in self._offered)), None)

    def _first(self, do: Callable[[Provider], _T]) -> _T:
        """Try one provider after another, until this computer doesn't refuse."""
        for provider, following in itertools.pairwise(self._offered):
            try:
                return do(provider)
            except Refused as refusal:
                loses = following.auto.loses if following.auto else ""
                self.refused.append((refusal, loses))
                self._say(
                    f"{refusal.what}. {loses}; `fab check --provider {provider.name}` says how to"
                    " allow them."
                )
        return do(self._offered[-1])
