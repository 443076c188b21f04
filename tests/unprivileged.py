"""Runs a command as a user without privileges; root starts it with `UID PATHS COMMAND...`.

PATHS, separated by colons, are what that user must reach, such as a Python that lies in root's own
home: where a folder above one is closed, the command sees just that path in it.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from pushpull.machines.providers.embedded import kernel


def main() -> None:
    uid, paths, command = int(sys.argv[1]), sys.argv[2].split(":"), sys.argv[3:]
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    wanted = [Path(os.path.abspath(path)) for path in paths]  # noqa: PTH100  # links stay links
    closed = {path: above for path in wanted if (above := _closed_folder(path))}
    held = {path: os.open(path, os.O_PATH) for path in closed}
    for folder in set(closed.values()):
        kernel.mount("tmpfs", str(folder), "tmpfs", data="mode=755")
    for path, descriptor in held.items():
        path.mkdir(parents=True, exist_ok=True)
        kernel.mount(f"/proc/self/fd/{descriptor}", str(path), flags=kernel.MS_BIND | kernel.MS_REC)
        os.close(descriptor)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.execvp(command[0], command)


def _closed_folder(path: Path) -> Path | None:
    """Return the topmost folder above `path` that others may not enter."""
    above = reversed(path.parents)
    return next((folder for folder in above if not folder.stat().st_mode & 0o001), None)


if __name__ == "__main__":
    main()
