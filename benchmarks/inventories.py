"""Labs of any size: their inventory files, and labs that are up for some time."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load

_UP_S = 300


@contextlib.contextmanager
def inventory(pushers: int = 1, pullers: int = 2) -> Iterator[Path]:
    """Yield the file of an inventory of so many machines."""
    lines = [
        "network: 10.10.0.0/16",
        "machines:",
        f"  push: {{role: pusher, address: 10.10.0.1, count: {pushers}}}",
    ]
    if pullers:
        lines.append(f"  pull: {{role: puller, address: 10.10.100.1, count: {pullers}}}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "inventory.yaml")
        file.write_text("\n".join(lines) + "\n")
        yield file


@contextlib.contextmanager
def up(file: Path) -> Iterator[commands.Done]:
    """Bring the lab of an inventory up for the length of the block; yield how long that took."""
    flags = ["--provider", "namespaces", "--inventory", file]
    try:
        yield commands.run(["./fab", "up", *flags], limit_s=_UP_S)
    finally:
        commands.run(["./fab", "down", *flags], limit_s=_UP_S)
        shutil.rmtree(lab_folder.folder("namespaces", load(file)), ignore_errors=True)
