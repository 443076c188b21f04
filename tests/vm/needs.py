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


def need(*tools: str) -> None:
    """Skip the test unless this computer has the tools; in CI install them."""
    if missing(tools) and os.environ.get("CI") == "true":
        with locked("packages"):
            if missing(tools):
                subprocess.run([HERE / "deps.sh"], check=True)
    if lacking := missing(tools):
        pytest.skip(f"needs {', '.join(lacking)}; on Debian tests/vm/deps.sh installs all of it")


def need_root() -> None:
    """Skip the test unless it runs as root, for namespaces, mounts and files of any owner."""
    if os.geteuid():
        pytest.skip("needs root")


def missing(tools: tuple[str, ...]) -> list[str]:
    """Return those of the tools that this computer lacks."""
    return [tool for tool in tools if shutil.which(tool, path=_PATH) is None]


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
