"""A kill, from the capture of the line that triggers it to the proof that the process is gone."""

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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
_PROGRAM = "import os, sys, time; os.write(1, b'7 %d\\n' % os.getpid()); time.sleep(60)"
_POLL_S = 0.1
_LIMIT_S = 60
_KILLS = 40  # in a turn
_MEDIAN, _LATE = "median", "99 %"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="kill",
        title="From a captured line to the end of the process that printed it",
        figures=[
            Figure(name=_MEDIAN, text="{:.2f} ms", brief=True),
            Figure(name=_LATE, text="{:.2f} ms", brief=True),
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


def _kills(kill: Callable[["_Machine"], float], machine: "_Machine") -> Figures:
    times = [kill(machine) * 1000 for _ in range(_KILLS)]
    return {_MEDIAN: median(times), _LATE: quantiles(times, n=100, method="inclusive")[98]}


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
        self._printed, self._gone = threading.Event(), threading.Event()
        command = [machine.remote.access.python, "-ISc", _PROGRAM]
        self.process = machine.remote.start(
            _FOLDER,
            "victim",
            command,
            {},
            stdout=self._take,
            stderr=lambda _: None,
            ended=self._end,
        )
        _require(self._printed, "did not start")

    def _take(self, data: bytes) -> None:
        if data:
            self._captured = clock.now()
            self.pid = int(data.split()[1])
            self._printed.set()

    def _end(self, _: int | None, at: float) -> None:
        self._ended = at
        self._gone.set()

    def time_to_end(self) -> float:
        """Wait for the proof of its end; return the seconds since its line was captured."""
        _require(self._gone, "did not end")
        return self._ended - self._captured


def _require(event: threading.Event, otherwise: str) -> None:
    if not event.wait(_LIMIT_S):
        raise ContenderError(f"a process {otherwise} within {_LIMIT_S} s")


def _by_lab(machine: _Machine) -> float:
    """As `lab.kill` does: a line on the launcher's standard input."""
    victim = _Victim(machine)
    victim.process.signal(9)
    return victim.time_to_end()


def _by_fabric(machine: _Machine) -> float:
    """As a user of Fabric would: a command over an open connection, once the line has arrived."""
    victim = _Victim(machine)
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)
    return victim.time_to_end()


def _by_polling(machine: _Machine) -> float:
    """As a harness that greps a remote log every 0.1 s would: see the line late, then kill."""
    victim = _Victim(machine)
    threading.Event().wait(
        random.uniform(0, _POLL_S)
    )  # where in the pause the line comes is chance
    machine.connection.run("grep -c localhost /etc/hosts", hide=True, in_stream=False)
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)
    return victim.time_to_end()
