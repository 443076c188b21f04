"""Waits until programs that were started can do their work, or says why one can't."""

import json
import posixpath
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pushpull.core.errors import LabError, MachineLost
from pushpull.core.records import LOST
from pushpull.core.vocabulary import FILES, PORT
from pushpull.engine.ledger import Look
from pushpull.engine.process_manager import ProcessManager
from pushpull.engine.processes import Process
from pushpull.engine.versions import words_on
from pushpull.machines.remote_process import lost_ignored

READY_TIMEOUT_S = 30
BROKER_TIMEOUT_S = 120  # RabbitMQ takes a minute on a busy computer

# What shows that a program is ready: a line on stdout that this function recognises, a TCP port on
# which its machine listens, or a command that succeeds there.
Ready = Callable[[str], bool] | int | Sequence[str]

# Runs on the machine until the port is listened on, or the command succeeds. It only looks, as a
# connection may be a client for the program; it ends with its standard input.
_UNTIL = """
import json, select, subprocess, sys
sign, folder = json.loads(sys.argv[1])
def listens():
    for name in ("tcp", "tcp6"):
        try:
            lines = [line.split() for line in open("/proc/net/" + name)][1:]
        except OSError:
            continue
        if any(w[3] == "0A" and int(w[1].rpartition(":")[2], 16) == sign for w in lines):
            return True
    return False
def succeeds():
    quiet = subprocess.DEVNULL
    return subprocess.call(sign, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet) == 0
is_ready = listens if isinstance(sign, int) else succeeds
while not is_ready():
    if select.select([sys.stdin], [], [], 0.01)[0]:
        sys.exit()
print("ready")
"""


def wait_ready(manager: ProcessManager, started: Sequence[Process], ready: Ready | None) -> None:
    """Wait until each is ready, by `ready` or by its own trace; LabError if one isn't in time.

    A broker is ready when it listens.
    """
    if ready is None and all(process.program.is_broker for process in started):
        ready = PORT
    if ready is None or callable(ready):
        _wait_by_lines(manager, started, ready)
        return
    signs = [_Sign(process, ready) for process in started]
    try:
        for sign in signs:
            sign.watch(manager)
        _wait(manager, started, lambda process: any(s.seen for s in signs if s.process is process))
    finally:
        for sign in signs:
            sign.end()


def _wait_by_lines(
    manager: ProcessManager, started: Sequence[Process], ready: Callable[[str], bool] | None
) -> None:
    looks = {p.place: Look({p.place}, ready) for p in started} if ready else {}

    def is_ready(process: Process) -> bool:
        if looks:
            return looks[process.place].found is not None
        return process.is_ready or not process.program.says_ready

    with manager.monitor.looking(*looks.values()):
        _wait(manager, started, is_ready)


def _wait(
    manager: ProcessManager, started: Sequence[Process], is_ready: Callable[[Process], bool]
) -> None:
    in_time = manager.monitor.started_within(
        _timeout_s(started),
        lambda: any(p.ended for p in started) or all(map(is_ready, started)),
    )
    # A process that ended is the cause; another that is late only suffers from it.
    for process in sorted(started, key=lambda process: not process.ended):
        if not is_ready(process):
            raise _not_ready(process, in_time)


def _timeout_s(started: Sequence[Process]) -> int:
    return BROKER_TIMEOUT_S if any(p.program.is_broker for p in started) else READY_TIMEOUT_S


@dataclass(slots=True)
class _Sign:
    """A sign that a process is ready, which its machine watches for."""

    process: Process
    sign: int | Sequence[str]
    seen: bool = False
    _end: Callable[[], None] = lambda: None

    def watch(self, manager: ProcessManager) -> None:
        """Begin to look for it, in a thread of its own."""
        remote = self.process.remote
        sign = self.sign if isinstance(self.sign, int) else words_on(remote, self.sign)
        order = json.dumps([sign, remote.path(posixpath.join(manager.folder, FILES))])
        channel = remote.talk([remote.access.python, "-ISc", _UNTIL, order])
        channel.settimeout(None)  # `_wait` has the limit, which is longer than any answer's
        self._end = channel.close

        def look() -> None:
            with lost_ignored():
                self.seen = bool(channel.makefile("rb").read())
            manager.monitor.notify()

        threading.Thread(target=look, daemon=True).start()

    def end(self) -> None:
        """Stop looking."""
        self._end()


def _not_ready(process: Process, in_time: bool) -> LabError:
    if process.ended_by == LOST:
        what = f"the connection broke before {process.name} was ready"
    elif process.ended:
        what = f"{process.name} ended before it was ready, with exit status {process.status}"
    elif in_time:
        what = f"{process.name} was not ready when another ended"
    else:
        what = f"{process.name} was not ready after {_timeout_s([process])} s"
    kind = MachineLost if process.ended_by == LOST else LabError
    return kind(
        what,
        where=f"machine {process.machine}",
        hint=f"run it by hand: fab ssh --machine {process.machine}",
        output=process.tail(),
    )
