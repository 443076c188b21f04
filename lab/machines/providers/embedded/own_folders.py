"""The private folders of each machine in namespaces."""

from pathlib import PurePath

# With their modes. In a world-writable, sticky /dev the kernel lets only a device's owner open it
# for writing as a shell does (may_create_in_sticky in fs/namei.c), and that is the computer's root.
OWN = {"/tmp": "1777", "/run": "1777", "/dev": "755"}
_KERNELS = ("/dev", "/proc", "/sys")


def hides_own(folder: str) -> bool:
    """Return whether a folder, if made visible, would replace a machine's private folder."""
    path = PurePath(folder)
    holds = any(PurePath(own).is_relative_to(path) for own in (*OWN, *_KERNELS))
    return holds or ".." in path.parts or any(path.is_relative_to(own) for own in _KERNELS)
