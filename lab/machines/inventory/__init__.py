"""The inventory: `inventory.yaml` as Machine objects; every mistake in it a line with its hint."""

import hashlib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.core.errors import InventoryError, LabError

_MAX_BYTES = 1 << 20
_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How the `ssh` provider reaches one machine.

    `host` is the machine's lab address unless the inventory says otherwise. `key` and
    `known_hosts` are absolute paths on this computer, `python` is a path on the machine. None
    leaves the choice to the user's own SSH configuration.
    """

    host: str
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    python: str = "/opt/lab/venv/bin/python"


@dataclass(frozen=True, slots=True, kw_only=True)
class VagrantSettings:
    """What each VM is made of; `memory` in MiB. No `box_version`: the newest that Vagrant finds.

    The version is pinned because a refresh of the box may lack the build for a hypervisor; this
    is the last with builds for both VirtualBox and libvirt.
    """

    box: str = "bento/ubuntu-24.04"
    box_version: str | None = "202508.03.0"
    memory: int = 512
    cpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One member of the lab; `address` is its IPv4 address on the lab network."""

    name: str
    role: str
    address: str
    ssh: SshSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The machines of one lab, in the file's order.

    `path` is the file as the user named it; `digest` (SHA-256, in hexadecimal) changes with its
    content, so that a lab that was made from another version of the file is noticed. `visible`
    are folders of this computer that machines in namespaces see, beside those of the system.
    """

    path: Path
    network: str
    machines: tuple[Machine, ...]
    visible: tuple[Path, ...]
    vagrant: VagrantSettings
    digest: str

    def machine(self, name: str) -> Machine:
        """Return the machine called `name`; LabError if there is none."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise self._unknown(name)

    def with_role(self, role: str) -> tuple[Machine, ...]:
        """Return the machines with this role, none if nobody has it."""
        return tuple(machine for machine in self.machines if machine.role == role)

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


def load(path: Path, *, roles: Sequence[str] = ()) -> Inventory:
    """Read an inventory file.

    Arguments:
        path: the file; it is named in messages as it is given here.
        roles: the roles that the caller needs; one without a machine is a mistake of the file.

    Raises InventoryError with all of the file's mistakes, a line each: `file:line: what - hint`.
    """
    # The schema and yaml cost more than all the rest of `fab --list`: only who loads a file pays.
    from lab.machines.inventory.mistakes import check

    content = _content(path)
    checked = check(_text(content, path), file=str(path), roles=roles)
    return Inventory(
        path=path,
        network=checked.network,
        machines=tuple(
            Machine(
                name=name,
                role=role,
                address=address,
                ssh=_ssh({"host": address, **checked.ssh, **own_ssh}, path),
            )
            for name, role, address, own_ssh in checked.machines
        ),
        visible=folders(checked.namespaces.get("visible", "")),
        vagrant=_vagrant(checked.vagrant),
        digest=hashlib.sha256(content).hexdigest(),
    )


def folders(text: str) -> tuple[Path, ...]:
    """Return the folders that a text names as PATH does, with : between them."""
    return tuple(Path(part).expanduser() for part in text.split(":") if part)


def _ssh(settings: Mapping[str, Any], inventory: Path) -> SshSettings:
    folder = inventory.absolute().parent
    paths = {
        key: folder / Path(settings[key]).expanduser()
        for key in ("key", "known_hosts")
        if key in settings
    }
    return SshSettings(**{**settings, **paths})


def _vagrant(settings: Mapping[str, Any]) -> VagrantSettings:
    # The pinned version is one of the default box; another box has versions of its own.
    pin = {"box_version": None} if "box" in settings else {}
    return VagrantSettings(**{**pin, **settings})


def _content(path: Path) -> bytes:
    try:
        # Looked at first: opening a named pipe would wait for ever.
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
