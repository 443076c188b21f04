"""The state of a lab that outlives one command, in `.lab/<provider>-<key of its inventory>/`."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pushpull.core import project
from pushpull.core.errors import LabError
from pushpull.machines.inventory import Inventory


def folder(provider: str, inventory: Inventory) -> Path:
    """Return the folder's path."""
    return project.state() / project.lab_name(provider, inventory.path)


def make(place: Path) -> None:
    """Create a lab's folder; LabError if the user may not write to the project."""
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"can't keep this lab's state: {error.strerror}",
            where=str(place),
            hint="use your own clone, or a lab that ends with its run: fab run-experiment",
        ) from error


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, replacing an existing one."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


@contextlib.contextmanager
def changing(place: Path) -> Iterator[None]:
    """Let only one process at a time bring the lab up or take it down; wait for another one."""
    make(place)
    with (place / "changing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def reserved(place: Path) -> Iterator[None]:
    """Keep a second run out of a shared lab: its programs would receive our messages.

    Raises LabError if there is another run. The kernel releases the lock of a killed run.
    """
    make(place)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError(
                "another run is using this lab",
                hint="wait until it has ended, or use a lab of your own: --provider with one that"
                " isn't up (`fab providers` lists them)",
            ) from None
        yield


@contextlib.contextmanager
def at(folder: Path) -> Iterator[str]:
    """Yield a short path for `folder`, as a Unix socket's path has at most 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
