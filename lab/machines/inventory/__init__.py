"""The inventory: reads `inventory.yaml` into Machine objects, or reports each mistake's line."""

import hashlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core.errors import InventoryError, LabError

_MAX_BYTES = 1 << 20
_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One member of the lab; `address` is its IP address on the lab network.

    `roles` are what it is in experiments, in the file's order. `settings` are those of its own
    stanza, by provider.
    """

    name: str
    roles: tuple[str, ...]
    address: str
    settings: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The machines of one lab, in the file's order.

    `path` is the file as the user named it. `digest` (SHA-256, in hexadecimal) changes with its
    content, which reveals a lab that was made from another version of the file. `settings` are
    those under `providers`, by provider.
    """

    path: Path
    network: str
    machines: tuple[Machine, ...]
    settings: Mapping[str, Mapping[str, Any]]
    digest: str

    def machine(self, name: str) -> Machine:
        """Return the machine called `name`; LabError if there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise self._unknown(name)

    def settings_for(self, provider: str, machine: Machine) -> dict[str, Any]:
        """Return a provider's settings for a machine; its own override the common ones."""
        return {**self.settings.get(provider, {}), **machine.settings.get(provider, {})}

    def with_role(self, role: str) -> tuple[Machine, ...]:
        """Return the machines with this role, if any."""
        return tuple(machine for machine in self.machines if role in machine.roles)

    def _unknown(self, name: str) -> LabError:
        import difflib

        names = [machine.name for machine in self.machines]
        close = difflib.get_close_matches(name[:80], names, n=1)
        more = len(names) - _NAMES_SHOWN
        known = ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return LabError(
            f"there is no machine {name[:80]!r}",
            where=str(self.path),
            hint=(f"Did you mean {close[0]!r}? " if close else "") + f"The machines are: {known}.",
        )


def load(path: Path, *, roles: Sequence[str] = (), needed_by: str = "") -> Inventory:
    """Read an inventory file.

    Arguments:
        path: the file, which messages name as it is given here.
        roles: those that are needed; one without a machine is a mistake in the file.
        needed_by: what needs them, for that message.

    Raises InventoryError with all mistakes in the file, one per line: `file:line: what - hint`.
    """
    # The schema and yaml take longer than the rest of `fab --list`, so import them only here.
    from pushpull.machines.inventory.mistakes import check

    content = _content(path)
    checked = check(_text(content, path), file=str(path), roles=roles, needed_by=needed_by)
    return Inventory(
        path=path,
        network=checked.network,
        machines=tuple(
            Machine(name=name, roles=its_roles, address=address, settings=own)
            for name, its_roles, address, own in checked.machines
        ),
        settings=checked.settings,
        digest=hashlib.sha256(content).hexdigest(),
    )


def _content(path: Path) -> bytes:
    try:
        # Check first: opening a named pipe would wait forever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _unusable(path, "this is not a file", "name the inventory file itself")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(
            path, "there is no such file", "go to the lab's folder, or name another file"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise _unusable(
            path, f"can't be read: {reason}", "correct the path or its permissions"
        ) from None
    if len(content) > _MAX_BYTES:
        raise _unusable(
            path, "the file is larger than 1 MiB", "name an inventory; `count:` keeps it short"
        )
    return content


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _unusable(
            path, "this is not text in UTF-8", "save the file as UTF-8", line=line
        ) from None


def _unusable(path: Path, what: str, hint: str, *, line: int | None = None) -> InventoryError:
    place = f"{path}:{line}" if line else str(path)
    return InventoryError(f"{place}: {what} - {hint}")
