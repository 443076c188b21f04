"""What the tests about VMs need of this computer, beyond what tests/debian-packages.txt has.

In CI it is installed (deps.sh); elsewhere a test that lacks something is skipped with one line.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def need(*tools: str, root: bool = False) -> None:
    """Skip the test unless this computer has the tools; in CI install them.

    `root`: the test makes namespaces, mounts and files of any owner.
    """
    if missing(tools) and os.environ.get("CI") == "true":
        with locked("packages"):
            if missing(tools):
                subprocess.run([HERE / "deps.sh"], check=True)
    needed = []
    if root and not _may_mount():
        needed.append("root that may mount")
    if lacking := missing(tools):
        needed.append(f"{', '.join(lacking)} (on Debian tests/vm/deps.sh installs all of it)")
    if needed:
        pytest.skip(f"needs {' and '.join(needed)}")


def missing(tools: tuple[str, ...]) -> list[str]:
    """Return those of the tools that this computer lacks."""
    return [tool for tool in tools if shutil.which(tool, path=_PATH) is None]


def _may_mount() -> bool:
    """Tell whether this is root, and not root of a container that is kept from mounts."""
    return not os.geteuid() and not subprocess.run(["unshare", "--mount", "true"]).returncode


def cache() -> Path:
    """Return the folder for what is expensive to make; it outlives a clone."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "push-pull-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Keep other test processes from doing the same; the kernel lets go for one that dies."""
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
