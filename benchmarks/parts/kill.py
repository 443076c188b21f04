"""A kill, from the capture of the line that triggers it to the end of the process, and its proof.

Each end is seen twice: by the kernel's notice of it (pidfd_open(2)), as the machines are on this
computer, and by what the machine reports over SSH, which is the proof that the lab's verdicts need.
"""

import contextlib
import os
import random
import select
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from fabric import Connection

from benchmarks import inventories
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures
from pushpull.core import clock
from pushpull.machines.connection import connect
from pushpull.machines.inventory import load
from pushpull.machines.pool import connected
from pushpull.machines.providers.registry import choose
from pushpull.machines.remote import Remote

_FOLDER = "benchmark"
_PROGRAM = """
import os, time
os.write(1, b"up\\n")
time.sleep(0.1)
os.write(1, b"7 %d\\n" % os.getpid())
time.sleep(60)
"""
_POLL_S = 0.1
_LIMIT_S = 60
_KILLS = 40  # in a turn
_MEDIAN, _LATE, _KNOWN = "median", "99 %", "known to the lab, median"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="kill",
        title="From a captured line to the end of the process that printed it",
        figures=[
            Figure(name=_MEDIAN, text="{:.2f} ms", brief=True),
            Figure(name=_LATE, text="{:.2f} ms", brief=True),
            Figure(name=_KNOWN, text="{:.2f} ms", brief=True),
        ],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with _one_machine() as machine:
        yield [
            Contender(name="the lab", turn=lambda: _kills(_by_lab, machine)),
            Contender(
                name="Fabric's run",
                turn=lambda: _kills(_by_fabric, machine),
                differs="`kill -9` over an open connection, once the line has arrived",
            ),
            Contender(
                name="polling a log",
                turn=lambda: _kills(_by_polling, machine),
                differs=f"`grep` every {_POLL_S} s, as test harnesses do, then `kill -9`",
            ),
        ]


def _kills(kill: Callable[["_Machine", "_Victim"], None], machine: "_Machine") -> Figures:
    gone, known = zip(*(_times(kill, machine) for _ in range(_KILLS)), strict=True)
    late = quantiles(gone, n=100, method="inclusive")[98]
    return {_MEDIAN: median(gone), _LATE: late, _KNOWN: median(known)}


def _times(
    kill: Callable[["_Machine", "_Victim"], None], machine: "_Machine"
) -> tuple[float, float]:
    """Return how many ms after its line a process was gone, and how many until that was known."""
    victim = _Victim(machine)
    kill(machine, victim)
    gone, known = victim.seconds_to_end()
    return gone * 1000, known * 1000


@dataclass(frozen=True, slots=True)
class _Machine:
    """One machine of an embedded lab, and a plain Fabric connection to it."""

    remote: Remote
    connection: Connection


@contextlib.contextmanager
def _one_machine() -> Iterator[_Machine]:
    with inventories.inventory(pullers=0) as file:
        provider = choose("namespaces", load(file), print)
        with provider.lab(keep=False) as machines, connected(machines) as remotes:
            remote = next(iter(remotes.values()))
            remote.deploy(_FOLDER, {})
            with connect(remote.access) as connection:
                yield _Machine(remote, connection)


class _Victim:
    """A process that has printed a line with its pid, and waits to be killed."""

    def __init__(self, machine: _Machine) -> None:
        self._up, self._printed, self._known = (threading.Event() for _ in range(3))
        mark = uuid.uuid4().hex
        command = [machine.remote.access.python, "-ISc", _PROGRAM, mark]
        self.process = machine.remote.start(
            _FOLDER,
            "victim",
            command,
            {},
            stdout=self._take,
            stderr=lambda _: None,
            ended=self._end,
        )
        _require(self._up, "did not start")
        self._watcher = threading.Thread(target=self._watch, args=[_ours(mark)])
        self._watcher.start()
        _require(self._printed, "did not print its line")

    def _take(self, data: bytes) -> None:
        if data.startswith(b"7"):
            self._captured = clock.now()
            self.pid = int(data.split()[1])
            self._printed.set()
        elif data:
            self._up.set()

    def _watch(self, pid: int) -> None:
        end = os.pidfd_open(pid)
        select.select([end], [], [], _LIMIT_S)
        self._gone_at = clock.now()
        os.close(end)

    def _end(self, _: int | None, at: float) -> None:
        self._known_at = at
        self._known.set()

    def seconds_to_end(self) -> tuple[float, float]:
        """Wait for the proof; return the seconds from the line to the end, and to the proof."""
        _require(self._known, "did not end")
        self._watcher.join()
        return self._gone_at - self._captured, self._known_at - self._captured


def _ours(mark: str) -> int:
    """Return the process id, as this process sees it, of the program that was started with a mark.

    The machines have process ids of their own. Its launcher, whose child it is, has the mark only
    in its memory.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().endswith(f"{mark}\0".encode()):
                return int(folder.name)
    raise ContenderError("a process isn't among those of this computer")


def _require(event: threading.Event, otherwise: str) -> None:
    if not event.wait(_LIMIT_S):
        raise ContenderError(f"a process {otherwise} within {_LIMIT_S} s")


def _by_lab(_: _Machine, victim: _Victim) -> None:
    """As `lab.kill` does: a line on the launcher's standard input."""
    victim.process.signal(9)


def _by_fabric(machine: _Machine, victim: _Victim) -> None:
    """As a user of Fabric would: a command over an open connection, once the line has arrived."""
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)


def _by_polling(machine: _Machine, victim: _Victim) -> None:
    """As a harness that greps a remote log every 0.1 s would: see the line late, then kill."""
    threading.Event().wait(
        random.uniform(0, _POLL_S)
    )  # where in the pause the line comes is chance
    machine.connection.run("grep -c localhost /etc/hosts", hide=True, in_stream=False)
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)
