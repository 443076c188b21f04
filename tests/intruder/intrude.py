"""Tries to leave a machine of the embedded lab; prints a JSON line for each way: what came of it.

The files that it tries to change are named in the file `targets` beside it.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
NEW = {"mounts": 0x20000, "user": 0x10000000, "network": 0x40000000, "processes": 0x20000000}
AT_FDCWD, AT_RECURSIVE, MOUNT_SETATTR, OPEN_TREE, PIVOT_ROOT = -100, 0x8000, 442, 428, 155
PTRACE_ATTACH, PTRACE_DETACH, PIDFD_GETFD = 16, 17, 438

libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library; OSError where it says so."""
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return int(result)


def mount(target: bytes, flags: int, source: bytes = b"none", kind: bytes = b"tmpfs") -> None:
    call("mount", source, target, kind, ctypes.c_ulong(flags), None)


def make_writable() -> None:
    attributes = (ctypes.c_uint64 * 4)(0, 1, 0, 0)  # clear the attribute "read-only"
    call("syscall", MOUNT_SETATTR, AT_FDCWD, b"/", AT_RECURSIVE, attributes, 32)


def in_child(do: Callable[[], None]) -> None:
    """Do something that would change this process for good in a child."""
    pid = os.fork()
    if pid == 0:
        try:
            do()
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    if code := os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise OSError(code, os.strerror(code))


def enter(kind: str, pid: str = "1") -> None:
    """Join a namespace that isn't our own already."""
    path = Path(f"/proc/{pid}/ns/{kind}")
    if path.readlink() == Path(f"/proc/self/ns/{kind}").readlink():
        raise OSError(errno.EPERM, "it is our own")
    call("setns", os.open(path, os.O_RDONLY), 0)


def write(path: str, flags: int = os.O_WRONLY | os.O_APPEND) -> None:
    descriptor = os.open(path, flags, 0o600)
    os.write(descriptor, b"intruder\n")


def write_through_server() -> None:
    """Write to a file outside through what the machine's first process has open."""
    for number in os.listdir("/proc/1/fd"):
        path = f"/proc/1/fd/{number}"
        target = os.readlink(path)
        if target.startswith("/") and target != "/dev/null":
            write(path)
            return
    raise OSError(errno.ENOENT, "it has nothing open")


def mount_through_server() -> None:
    """Take over the first process, as a debugger would, and see what it may do."""
    status = Path("/proc/1/status").read_text()
    held = int(status.partition("CapEff:")[2].split()[0], 16)
    if not held & 1 << 21:  # CAP_SYS_ADMIN: to take it over gains nothing
        raise OSError(errno.EPERM, "it may not mount either")


def reach_host(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def list_servers_descriptors() -> None:
    for number in os.listdir("/proc/1/fd"):
        os.readlink(f"/proc/1/fd/{number}")


def take_servers_descriptors() -> None:
    server = os.pidfd_open(1)
    for number in range(3, 64):
        with contextlib.suppress(FileNotFoundError):
            call("syscall", PIDFD_GETFD, server, number, 0)


def trace_server() -> None:
    call("ptrace", PTRACE_ATTACH, 1, None, None)
    call("ptrace", PTRACE_DETACH, 1, None, None)


def read_servers_memory() -> None:
    here = ctypes.create_string_buffer(8)
    iov = (ctypes.c_void_p * 2)(ctypes.addressof(here), 8)
    call("process_vm_readv", 1, iov, ctypes.c_ulong(1), iov, ctypes.c_ulong(1), ctypes.c_ulong(0))


def talk_to(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def ways(targets: list[str], port: int) -> dict[str, Callable[[], None]]:
    found: dict[str, Callable[[], None]] = {
        "remount /": lambda: mount(b"/", MS_REMOUNT | MS_BIND),
        "remount / whole": lambda: mount(b"/", MS_REMOUNT),
        "make / writable": make_writable,
        "bind / elsewhere": lambda: mount(b"/tmp", MS_BIND | MS_REC, b"/"),
        "mount a tmpfs": lambda: mount(b"/tmp", 0),
        "mount a proc": lambda: mount(b"/tmp", 0, b"proc", b"proc"),
        "copy the tree": lambda: (
            call("syscall", OPEN_TREE, AT_FDCWD, b"/", AT_RECURSIVE | 1) and None
        ),
        "unmount /tmp": lambda: call("umount2", b"/tmp", 2) and None,
        "unmount /proc": lambda: call("umount2", b"/proc", 2) and None,
        "unmount /sys": lambda: call("umount2", b"/sys", 2) and None,
        "unmount /dev": lambda: call("umount2", b"/dev", 2) and None,
        "pivot": lambda: call("syscall", PIVOT_ROOT, b"/tmp", b"/tmp") and None,
        "a device": lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)),
        "the memory": lambda: os.mknod("/tmp/memory", 0o20600, os.makedev(1, 1)),
        "a setting": lambda: write("/proc/sys/kernel/core_pattern", os.O_WRONLY),
        "its own setting": lambda: write("/proc/sys/user/max_user_namespaces", os.O_WRONLY),
        "the first process": mount_through_server,
        "what it has open": write_through_server,
        "the list of what it has open": list_servers_descriptors,
        "its descriptors": take_servers_descriptors,
        "its execution": trace_server,
        "its memory": read_servers_memory,
        "its environment": lambda: Path("/proc/1/environ").read_bytes() and None,
        "a socket of the user's": lambda: talk_to(f"{os.path.dirname(targets[0])}/socket"),
        "a FIFO of the user's": lambda: write(
            f"{os.path.dirname(targets[0])}/fifo", os.O_WRONLY | os.O_NONBLOCK
        ),
        "a file of the user's": lambda: Path(targets[0]).read_bytes() and None,
        "this computer's loopback": lambda: reach_host(port),
    }
    for name, flag in NEW.items():
        found[f"new {name}"] = lambda flag=flag: in_child(lambda: call("unshare", flag) and None)
    for kind in ("mnt", "user", "net", "pid"):
        found[f"enter {kind}"] = lambda kind=kind: in_child(lambda: enter(kind))
    for target in targets:
        found[f"write {target}"] = lambda target=target: write(target)
        folder = os.path.dirname(target)
        found[f"add to {folder}"] = lambda f=folder: write(
            f"{f}/intruder", os.O_WRONLY | os.O_CREAT
        )
        found[f"remove {target}"] = lambda target=target: os.unlink(target)
        found[f"make public {target}"] = lambda target=target: os.chmod(target, 0o777)
    return found


def main() -> None:
    *targets, port = Path("targets").read_text().split("\n")
    for way, go in ways(targets, int(port)).items():
        refusal = ""
        try:
            go()
        except OSError as error:
            refusal = errno.errorcode.get(error.errno or 0, str(error))
        print(json.dumps({"way": way, "refusal": refusal}))
    about = {
        "host": socket.gethostname(),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[:2],
        "links": sorted(os.listdir("/sys/class/net")),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "tmp": sorted(os.listdir("/tmp")),
        "home": os.environ["HOME"],
        "dev": sorted(os.listdir("/dev")),
        "user": os.geteuid(),
        "names": {n: socket.gethostbyname(n) for n in ("push", "pull-2", "localhost")},
    }
    print(json.dumps(about))


if __name__ == "__main__":
    main()
