"""The few Linux calls that Python 3.11 lacks: namespaces, mounts, capabilities, inotify.

Every function raises OSError with the kernel's errno. Flag values come from the headers
`linux/sched.h`, `linux/mount.h`, `linux/prctl.h`, `linux/capability.h` and `linux/inotify.h`.
"""

import ctypes
import os
from pathlib import Path

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

CAP_SYS_MODULE = 16
CAP_SYS_RAWIO = 17
CAP_SYS_PTRACE = 19
CAP_SYS_ADMIN = 21
CAP_SYS_BOOT = 22
CAP_SYS_TIME = 25
CAP_MKNOD = 27

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_NOSUID = 0x2
_MOUNT_ATTR_NODEV = 0x4
_SYS_MOUNT_SETATTR = 442
_MNT_DETACH = 2
_IN_DELETE = 0x200
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def unshare(flags: int) -> None:
    """Move the caller into new namespaces, of the kinds in `flags` (CLONE_NEW...)."""
    _check(_libc.unshare(flags), "unshare")


def fork_as_init() -> int:
    """Fork a child that is pid 1 of a new PID namespace; return as os.fork does.

    A process never leaves its own PID namespace, it only chooses that of its next children. So it
    takes no process in between.

    OpenSSL notices a fork by the pid alone. Between such forks that of parent and child is 1, so
    a parent that has used its random numbers as pid 1 would share what follows with its children.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    pid = -1
    try:
        unshare(CLONE_NEWPID)
        pid = os.fork()
    finally:
        if pid != 0:
            _check(_libc.setns(own, CLONE_NEWPID), "setns")
        os.close(own)
    return pid


def set_clocks_ahead(seconds: int) -> None:
    """Let the caller's next children see CLOCK_MONOTONIC and CLOCK_BOOTTIME so far ahead.

    The caller itself stays in its time namespace (time_namespaces(7)).
    """
    unshare(CLONE_NEWTIME)
    try:
        Path("/proc/self/timens_offsets").write_text(
            f"monotonic {seconds} 0\nboottime {seconds} 0\n"
        )
    except OSError as error:
        raise OSError(error.errno, f"set a monotonic clock ahead by {seconds} s") from None


def map_to_root(uid: int, gid: int) -> None:
    """Map root in the caller's new user namespace to `uid` and `gid` outside of it."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target`, as mount(2) does."""
    arguments = [text.encode() or None for text in (source, target, kind)]
    result = _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode() or None)
    _check(result, f"mount {target}")


def make_tree_readonly(path: str) -> None:
    """Make every mount at and below `path` read-only, without setuid programs and devices.

    This takes a single call (mount_setattr, Linux 5.12).
    """
    attr = _MountAttr(set=_MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV)
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, ctypes.byref(attr), size
    )
    _check(result, f"mount_setattr {path}")


def change_root(path: str) -> None:
    """Make the mount at `path` the root of the caller's mount namespace; unmount the old one."""
    os.chdir(path)
    # This stacks the old root on top of the new one (pivot_root(2), "pivot_root(".", ".")").
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def drop_capabilities(*capabilities: int) -> None:
    """Give up `capabilities` for good, for the caller and everything that it executes."""
    for capability in capabilities:
        _check(_libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0), "prctl PR_CAPBSET_DROP")
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl PR_CAP_AMBIENT")
    header = _CapHeader(version=_CAPABILITY_VERSION_3)
    data = (_CapData * 2)()
    _check(_libc.capget(ctypes.byref(header), data), "capget")
    for capability in capabilities:
        word, bit = data[capability // 32], 1 << (capability % 32)
        word.effective &= ~bit
        word.permitted &= ~bit
        word.inheritable &= ~bit
    _check(_libc.capset(ctypes.byref(header), data), "capset")


def die_with_parent(signal: int) -> None:
    """Ask the kernel to send the caller `signal` when the thread that forked it ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0), "prctl PR_SET_PDEATHSIG")


def forbid_inspection() -> None:
    """Hide the caller's memory, descriptors and environment from processes without CAP_SYS_PTRACE.

    This lasts until the caller executes a program, so it doesn't affect programs that it starts.
    """
    _check(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl PR_SET_DUMPABLE")


def removals_in(folder: str) -> int:
    """Return a descriptor of inotify(7) from which events for what is removed there can be read."""
    descriptor: int = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    _check(min(descriptor, 0), "inotify_init1")
    _check(min(_libc.inotify_add_watch(descriptor, folder.encode(), _IN_DELETE), 0), "inotify")
    return descriptor


def become_subreaper() -> None:
    """Make the caller the parent of every orphan among its descendants."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
