"""The file tree of isolated guests: a root that all of them share, and what each has for itself.

A lab's init process makes the shared root once, read-only, and enters it. A guest's new mount
namespace is a copy of init's, so a guest mounts only what is its own: a dozen mounts less, and no
root to change.
"""

import contextlib
import os
from pathlib import Path

from pushpull.machines.providers.embedded import etc, kernel
from pushpull.machines.providers.embedded.own_folders import OWN

_NEW = "/tmp"  # where the shared root is assembled
_READONLY = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV
_NO_PROGRAMS = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
# Where known systems keep programs and their settings; links stay links.
_SYSTEM = (
    *("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32"),
    *("/nix", "/opt", "/sbin", "/snap", "/usr"),
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def enter_shared(visible: list[str], hosts: str) -> None:
    """Change to a root that has only the visible parts of the computer's files, all read-only.

    `visible` names the folders besides the system's; `hosts` is the content of /etc/hosts.
    """
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    etc.replace(hosts)
    # Open them now: the new root is about to hide /tmp.
    shown = [path for path in (*_SYSTEM, *visible) if Path(path).exists()]
    links = {path: str(Path(path).readlink()) for path in _SYSTEM if Path(path).is_symlink()}
    held = {path: os.open(path, os.O_PATH) for path in shown if path not in links}
    devices, sysfs = _open_devices(), os.open("/sys", os.O_PATH)
    kernel.mount("tmpfs", _NEW, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
    for folder in (*OWN, "/var", "/proc", "/sys"):
        Path(_NEW + folder).mkdir()
    for folder in ("tmp", "run"):
        Path(f"{_NEW}/var/{folder}").symlink_to(f"/{folder}")
    # A guest's own /proc will hide this one, in which it still changes settings of its network.
    kernel.mount("proc", f"{_NEW}/proc", "proc", _NO_PROGRAMS)
    _mount_sys(f"{_NEW}/sys")
    if not os.listdir(f"{_NEW}/sys"):  # noqa: PTH208
        # Some containers allow no new /sys; the old one lists other links, which is harmless.
        _bind(sysfs, f"{_NEW}/sys")
        kernel.make_tree_readonly(f"{_NEW}/sys")
    os.close(sysfs)
    for path, target in links.items():
        Path(_NEW + path).symlink_to(target)
    for path in sorted(held):  # a folder before its content
        _show(held[path], _NEW + path)
    _place(devices, f"{_NEW}/dev")
    kernel.change_root(_NEW)
    kernel.mount("", "/", flags=kernel.MS_REMOUNT | kernel.MS_BIND | _READONLY)


def add_own(name: str, visible: list[str]) -> None:
    """Mount what a guest has for itself, in its own mount namespace.

    `visible` as for `enter_shared`: those below a folder of the guest's own are shown in that.
    """
    below = sorted(p for p in visible if any(Path(p).is_relative_to(own) for own in OWN))
    held = [(path, os.open(path, os.O_PATH)) for path in below if Path(path).exists()]
    devices = _open_devices()
    for folder, mode in OWN.items():
        kernel.mount("tmpfs", folder, "tmpfs", kernel.MS_NOSUID, f"mode={mode}")
    kernel.mount("proc", "/proc", "proc", _NO_PROGRAMS)
    kernel.make_tree_readonly("/proc")
    _mount_sys("/sys")
    _write_host_name(name)
    _place(devices, "/dev")
    _fill_dev()
    for path, descriptor in held:  # a folder before its content
        _show(descriptor, path)


def _mount_sys(folder: str) -> None:
    """Mount the /sys of the caller's network, read-only; where that is forbidden, do nothing."""
    with contextlib.suppress(PermissionError):
        kernel.mount("sysfs", folder, "sysfs", _NO_PROGRAMS)
        kernel.make_tree_readonly(folder)


def _show(descriptor: int, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    _bind(descriptor, target)
    os.close(descriptor)
    kernel.make_tree_readonly(target)


def _write_host_name(name: str) -> None:
    """Mount the guest's own file in the /etc that all guests share."""
    own = Path("/run/own")
    own.write_text(f"{name}\n")
    kernel.mount(str(own), "/etc/hostname", flags=kernel.MS_BIND)
    kernel.make_tree_readonly("/etc/hostname")
    own.unlink()


def _open_devices() -> dict[str, int]:
    return {name: os.open(f"/dev/{name}", os.O_PATH) for name in _DEVICES}


def _place(devices: dict[str, int], folder: str) -> None:
    for name, descriptor in devices.items():
        Path(folder, name).touch()
        _bind(descriptor, f"{folder}/{name}")
        os.close(descriptor)


def _fill_dev() -> None:
    for folder in ("pts", "shm"):
        Path(f"/dev/{folder}").mkdir()
    kernel.mount("devpts", "/dev/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666")
    for name, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        Path(f"/dev/{name}").symlink_to(target)


def _bind(descriptor: int, target: str) -> None:
    kernel.mount(f"/proc/self/fd/{descriptor}", target, flags=kernel.MS_BIND | kernel.MS_REC)
