"""Reads a machine's state from Vagrant's own files, as a call of `vagrant` takes a second.

`.vagrant/machines/NAME/HYPERVISOR/id` exists while the machine does, and changes when the machine
is made again. The machine index in Vagrant's home has the state that Vagrant last saw, under the
`index_uuid` next to `id`; Vagrant writes that file whenever it looks at a machine.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core import project
from pushpull.core.errors import LabError


@dataclass(frozen=True, slots=True, kw_only=True)
class Vm:
    """A VM; `running` is what Vagrant saw when it last looked."""

    hypervisor: str
    id: str
    running: bool


def find(machine: str) -> Vm | None:
    """Return a machine's state by Vagrant's files, None if it doesn't exist."""
    folder = project.PROJECT / os.environ.get("VAGRANT_DOTFILE_PATH", ".vagrant")
    for file in folder.glob(f"machines/{machine}/*/id"):
        uuid = _text(file.with_name("index_uuid"))
        entry = _index().get(uuid, {})
        return Vm(
            hypervisor=file.parent.name,
            id=_text(file),
            running=entry.get("state") == "running",
        )
    return None


def found(machine: str) -> Vm:
    """Return a machine's state by Vagrant's files; LabError if it doesn't exist."""
    vm = find(machine)
    if vm is None:
        raise LabError("there is no such VM", where=f"machine {machine}", hint="vagrant up")
    return vm


def last_look() -> int:
    """Return when Vagrant last looked at any machine, in nanoseconds; 0 if it never did.

    It keeps no such time per machine (Vagrant 2.3.4 has a field for it that stays empty).
    """
    try:
        return _index_file().stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _index_file() -> Path:
    home = Path(os.environ.get("VAGRANT_HOME") or Path.home() / ".vagrant.d")
    return home / "data/machine-index/index"


def _index() -> dict[str, Any]:
    try:
        index = json.loads(_text(_index_file()))
    except ValueError:  # there is none, or it is just being written
        return {}
    machines: dict[str, Any] = index["machines"]
    return machines


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        return ""
