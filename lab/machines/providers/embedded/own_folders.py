"""The folders that each machine in namespaces has for itself."""

from pathlib import PurePath

# With their modes. In a /dev that is everybody's the kernel lets nobody but a device's owner open
# it to write as a shell does (may_create_in_sticky in fs/namei.c), and that is the computer's root.
OWN = {"/tmp": "1777", "/run": "1777", "/dev": "755"}
_KERNELS = ("/dev", "/proc", "/sys")


def hides_own(folder: str) -> bool:
    """Tell whether a folder, if it were shown, would take the place of one of a machine's own."""
    path = PurePath(folder)
    holds = any(PurePath(own).is_relative_to(path) for own in (*OWN, *_KERNELS))
    return holds or ".." in path.parts or any(path.is_relative_to(own) for own in _KERNELS)
