"""Finds what a command leaves behind: processes, namespaces, listening sockets."""

import contextlib
import ctypes
import os
import select
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_NAMESPACES = ("net", "pid", "mnt", "user")


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, so that it sees them."""
    assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Family:
    """A process of this test, and everything that descends from it, even after its end.

    Of this process itself it is what starts from now on: a lab of other tests may be up.
    What it had is noted by `look`; this test must have adopted orphans before it started.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        theirs = set() if root == os.getpid() else {root, *descendants(root)}
        self._others = set(descendants(os.getpid())) - theirs
        self._namespaces: dict[tuple[int, str], set[str]] = {}
        self._sockets: set[str] = set()
        self._ours = {_namespace(os.getpid(), kind) for kind in _NAMESPACES}

    def look(self) -> None:
        """Note the namespaces and the listening sockets that the family has now."""
        listening = _listening()
        for pid in self.alive():
            own = {_namespace(pid, kind) for kind in _NAMESPACES} - self._ours - {""}
            self._namespaces.setdefault((pid, _started(pid)), set()).update(own)
            self._sockets |= _sockets(pid) & listening

    def alive(self) -> list[int]:
        """Return the pids of those that have not ended."""
        pids = [pid for pid in descendants(os.getpid()) if pid not in self._others]
        return [pid for pid in pids if is_alive(pid)]

    def gone_within(self, limit_s: float) -> bool:
        """Wait until the whole family has ended, at most so many seconds."""
        try:
            return ended_within(limit_s, self.alive)
        finally:
            self._reap()

    def leftovers(self) -> list[str]:
        """Return what still exists of what `look` noted, each in words."""
        found = [f"process {pid}: {command_of(pid)}" for pid in self.alive()]
        names = set().union(*self._namespaces.values())
        # By number alone, a later lab's namespace could be mistaken for one of this lab.
        for pid, started in self._namespaces:
            held = {_namespace(pid, kind) for kind in _NAMESPACES} & names
            if held and _started(pid) == started:
                found.append(f"namespaces {held} of process {pid}: {command_of(pid)}")
        mounts = Path("/proc/self/mountinfo").read_text()
        found += [f"mount of {name}" for name in names if name in mounts]
        return found + [f"listening socket {inode}" for inode in self._sockets & _listening()]

    def _reap(self) -> None:
        for pid in descendants(os.getpid()):
            if pid not in self._others and pid != self._root:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def descendants(ancestor: int) -> list[int]:
    """Return the pids of all below a process, parents before their children."""
    children: dict[int, list[int]] = {}
    for pid in _pids():
        if fields := _stat(pid):
            children.setdefault(int(fields[1]), []).append(pid)
    found = list(children.get(ancestor, []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def ended_within(limit_s: float, alive: Callable[[], list[int]]) -> bool:
    """Wait until `alive` returns no pid any more, at most so many seconds."""
    end = time.monotonic() + limit_s
    while pids := alive():
        with contextlib.suppress(ProcessLookupError), _watched(pids[0]) as ended:
            if not select.select([ended], [], [], max(0, end - time.monotonic()))[0]:
                return False
    return True


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """Return the fields of a process from its state on; none if there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()


def _started(pid: int) -> str:
    return (_stat(pid) or [""] * 20)[19]


def is_alive(pid: int) -> bool:
    """Return whether there is such a process that hasn't ended."""
    return (_stat(pid) or ["X"])[0] not in ("Z", "X")


def command_of(pid: int) -> str:
    """Return the command line of a process, `?` if there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:200]
    except OSError:
        return "?"


def _namespace(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:  # gone, or another user's
        return ""


def _sockets(pid: int) -> set[str]:
    try:
        links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return set()
    return {link[8:-1] for link in links if link.startswith("socket:[")}


def _listening() -> set[str]:
    """Return the inodes of the listening TCP sockets of this network."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {fields[9] for fields in map(str.split, lines) if fields[3] == "0A"}
