"""Where the project's files are, in a clone and in an installed package."""

import hashlib
import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_COPIES = _PACKAGE / "shipped"  # pyproject.toml puts them into a package
IS_CLONE = not _COPIES.is_dir()
# The files that come with the lab: inventory.yaml, Vagrantfile, provision/, requirements.lock.
SHIPPED = _PACKAGE.parent if IS_CLONE else _COPIES
# Where a user's own versions of these files are.
PROJECT = SHIPPED if IS_CLONE else Path.cwd()
INVENTORY = "inventory.yaml"
# How the user calls the lab.
COMMAND = "./fab" if IS_CLONE else "pushpull"


def cache() -> Path:
    """Return the lab's cache: in the user's home, or in the project if that is another user's."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given, "push-pull-lab")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111  # which never raises
    return (home if os.access(home, os.W_OK) else PROJECT) / ".cache" / "push-pull-lab"


def inventory(given: str) -> Path:
    """Return the inventory that a user gave, or the one in the current folder, or the lab's own."""
    here = Path(INVENTORY)
    return Path(given) if given else here if here.exists() else SHIPPED / here


def state() -> Path:
    """Return the folder of what is kept of labs that are up."""
    return PROJECT / ".lab"


def lab_name(provider: str, inventory: Path) -> str:
    """Return what names the lab that a provider keeps up for an inventory, in `state()`."""
    key = hashlib.sha256(str(inventory.resolve()).encode()).hexdigest()[:8]
    return f"{provider}-{key}"
