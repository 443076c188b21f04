"""Three ways to kill a process on a machine after it printed a line; each returns seconds."""

import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fabric import Connection

from lab.core import clock
from lab.machines.connection import connect
from lab.machines.inventory import load
from lab.machines.pool import connected
from lab.machines.providers.registry import choose
from lab.machines.remote import Remote

_FOLDER = "benchmark"
_INVENTORY = Path(__file__).parents[1] / "inventory.yaml"
_PROGRAM = "import os, sys, time; os.write(1, b'7 %d\\n' % os.getpid()); time.sleep(60)"
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of an embedded lab, and a plain Fabric connection to it."""

    remote: Remote
    connection: Connection


@contextlib.contextmanager
def one_machine() -> Iterator[Machine]:
    """Yield a machine for as long as the block lasts."""
    provider = choose("namespaces", load(_INVENTORY), print)
    with provider.lab(keep=False) as machines, connected(machines) as remotes:
        remote = next(iter(remotes.values()))
        remote.deploy(_FOLDER, {})
        with connect(remote.access) as connection:
            yield Machine(remote, connection)


class _Victim:
    """A process that has printed a line with its pid, and waits to be killed."""

    def __init__(self, machine: Machine) -> None:
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
        self._printed.wait()

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
        self._gone.wait()
        return self._ended - self._captured


def by_lab(machine: Machine) -> float:
    """As `lab.kill` does: a line on the launcher's standard input."""
    victim = _Victim(machine)
    victim.process.signal(9)
    return victim.time_to_end()


def by_fabric(machine: Machine) -> float:
    """As a user of Fabric would: a command over an open connection, once the line has arrived."""
    victim = _Victim(machine)
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)
    return victim.time_to_end()


def by_polling(machine: Machine) -> float:
    """As a harness that greps a remote log every 0.1 s would: see the line late, then kill."""
    victim = _Victim(machine)
    threading.Event().wait(
        random.uniform(0, _POLL_S)
    )  # where in the pause the line comes is chance
    machine.connection.run("grep -c localhost /etc/hosts", hide=True, in_stream=False)
    machine.connection.run(f"kill -9 {victim.pid}", hide=True, in_stream=False)
    return victim.time_to_end()
