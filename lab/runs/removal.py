"""Removes old runs. A run in progress stays: its writer holds a lock on its folder."""

import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pushpull.core.os_errors import file_errors
from pushpull.runs import store


def older(root: Path, keep: int) -> Sequence[Path]:
    """Return the folders of the runs before the newest `keep`, oldest first."""
    folders = [path for path in store.folders(root) if store.NAME.fullmatch(path.name)]
    # Names have the second of the start; a link is somebody's own.
    return [path for path in folders[: max(0, len(folders) - keep)] if not path.is_symlink()]


def size(run: Path) -> int:
    """Return the bytes of all files in a run's folder."""
    return sum(path.lstat().st_size for path in run.rglob("*") if not path.is_dir())


def remove(run: Path) -> bool:
    """Remove a run; return False, and leave it, if it is in progress.

    Raises:
        LabError: it can't be removed.
    """
    with file_errors(run, "remove"):
        folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(run)
        except BlockingIOError:
            return False
        finally:
            os.close(folder)
    return True


def unlink_latest(root: Path) -> None:
    """Remove the link to the last run if that run is gone."""
    latest = root / "latest"
    if latest.is_symlink() and not latest.exists():
        with file_errors(latest, "remove"):
            latest.unlink()
