"""Machines that are only in memory: what they run are functions, so the engine is tested in ms.

A stand-in for `pushpull.machines.remote.Remote`, with as much of it as the engine uses. A program's
script is a function of its process; it runs in a thread of its own, prints, traces, waits, and its
return ends the process. A signal ends it as it would a program that handles none.
"""

import contextlib
import io
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull.core import clock, faults
from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Fault, Scope
from pushpull.machines import clock_offset
from pushpull.machines.providers.base import Access, Machines

Script = Callable[["FakeProcess"], "int | None"]

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


class Ended(Exception):
    """A signal ended the process in the middle of its script."""


class FakeProcess:
    """A process as its script sees it, with the interface of `RemoteProcess` for the engine."""

    def __init__(
        self,
        script: Script,
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        ended: Callable[[int | None, float], None],
    ) -> None:
        self.ended = False
        self.signals: list[int] = []
        self._outputs = {"stdout": stdout, "stderr": stderr}
        self._on_end = ended
        self._news = threading.Condition()
        self._status: int | None = None
        self._lost = False
        threading.Thread(target=self._run, args=[script], daemon=True).start()

    # What a script does.

    def prints(self, *lines: str, stream: str = "stdout") -> None:
        """Print lines in one chunk, but not while the process is stopped."""
        self.wait(lambda: not self.is_stopped)
        self._outputs[stream]("".join(f"{line}\n" for line in lines).encode())

    def traces(self, event: str, **details: Any) -> None:
        """Trace something, as the lab's own programs do."""
        line = json.dumps({"t": time.time(), "m": time.monotonic(), "event": event, **details})
        self.prints(line, stream="stderr")

    def wait(self, until: Callable[[], bool] = lambda: False, timeout: float = 30.0) -> None:
        """Wait for something, or forever; a signal that ends the process ends the script here."""
        end = time.monotonic() + timeout
        with self._news:
            while not (self.is_dying or until()):
                self._news.wait(0.002)
                assert time.monotonic() < end, "a script waits for what never comes"
            if self.is_dying:
                raise Ended

    # What the engine does to it.

    def signal(self, number: int) -> None:
        with self._news:
            if number:
                self.signals.append(number)
                self._news.notify_all()

    def end(self) -> None:
        self.signal(signal.SIGKILL)

    def lose(self) -> None:
        """Break the connection to its machine."""
        with self._news:
            self._lost = True
            self._news.notify_all()

    @property
    def is_stopped(self) -> bool:
        halting = [n for n in self.signals if n in (signal.SIGSTOP, signal.SIGCONT)]
        return halting[-1:] == [signal.SIGSTOP]

    @property
    def is_dying(self) -> bool:
        killed = signal.SIGKILL in self.signals
        return (
            self._lost
            or killed
            or (any(s in _ENDING for s in self.signals) and not self.is_stopped)
        )

    def _run(self, script: Script) -> None:
        try:
            status: int | None = script(self) or 0
        except Ended:
            fatal = next((n for n in self.signals if n in _ENDING), signal.SIGKILL)
            status = None if self._lost else 128 + fatal
        for output in self._outputs.values():
            output(b"")
        self.ended = True
        self._on_end(status, clock.now())


class FakeRemote:
    """One machine; `scripts` has what each of its programs does, by the program's file name."""

    def __init__(self, name: str, role: str, scripts: Mapping[str, Script], number: int) -> None:
        self.name = name
        self.access = Access(
            provider="fake",
            machine=name,
            roles=(role,),
            address=f"192.168.0.{number}",
            host="127.0.0.1",
            port=None,
            user=None,
            work="/nowhere",
            python="python3",
        )
        self.scripts = dict(scripts)
        self.processes: list[FakeProcess] = []

    def start(
        self,
        folder: str,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: Callable[[bytes], None],
        stderr: Callable[[bytes], None],
        ended: Callable[[int | None, float], None],
        by_line: bool = False,
        held: bool = False,
    ) -> FakeProcess:
        script = self.scripts[name.partition(".")[0]]
        self.processes.append(FakeProcess(script, stdout, stderr, ended))
        return self.processes[-1]

    def stopped_at(self, folder: str, name: str, *, stopped: bool, timeout: float) -> clock.Moment:
        return clock.Moment(time.time(), time.monotonic())

    def read(self, path: str) -> str:
        return clock_offset.our_boot_id() if "boot_id" in path else "fake\n"

    def read_once(self, path: str) -> str:
        return self.read(path)

    def run(self, argv: Sequence[str]) -> bytes:
        raise LabError("nothing can be run on a machine in memory", where=f"machine {self.name}")

    talk = run

    def path(self, *names: str) -> str:
        return "/".join([self.access.work, *names])

    def notes(self, folder: str, name: str) -> dict[str, str]:
        return self.run([])  # type: ignore[return-value]

    def standstill(self, folder: str, name: str) -> str:
        return self.run([])  # type: ignore[return-value]

    @contextlib.contextmanager
    def ask(self, folder: str, script: object, order: bytes) -> Iterator[io.BytesIO]:
        yield io.BytesIO(b"{}\n")  # there are no files that programs could have left

    def deploy(self, folder: str, files: Mapping[str, Path], *_: object) -> None: ...

    def make_executable(self, *place: str) -> None: ...

    def put(self, folder: str, files: Mapping[str, Path]) -> None: ...

    def warm_up(self, folder: str) -> None: ...

    def remove(self, folder: str) -> None: ...

    def close(self) -> None:
        for process in self.processes:
            process.lose()


class FakeMachines(Machines):
    """A lab of such machines; `done` lists the faults and repairs so far."""

    faults = faults.of(Scope.MACHINE)

    def __init__(self, *remotes: FakeRemote) -> None:
        super().__init__({remote.name: remote.access for remote in remotes})
        self.remotes: Any = {remote.name: remote for remote in remotes}
        self.done: list[tuple[str, str]] = []

    def do(self, fault: Fault, machine: str) -> None:
        self.done.append((fault.name, machine))


class Wire:
    """The queue between fake pushers and pullers: each message goes to one puller."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._mutex = threading.Lock()

    def send(self, number: int) -> None:
        with self._mutex:
            self._numbers.append(number)

    def take(self, process: FakeProcess) -> int:
        """Return the next message once there is one; a stopped process receives none."""
        taken: list[int] = []

        def take_one() -> bool:
            with self._mutex:
                if not process.is_stopped and self._numbers:
                    taken.append(self._numbers.pop(0))
            return bool(taken)

        process.wait(take_one)
        return taken[0]


def pusher(wire: Wire, numbers: Sequence[int]) -> Script:
    """A script that sends numbers as fast as it can."""

    def script(process: FakeProcess) -> None:
        process.traces("ready")
        for number in numbers:
            process.prints(str(number))
            wire.send(number)
            process.traces("sent", number=number)

    return script


def puller(
    wire: Wire, work: Callable[[FakeProcess, int], None] = lambda process, number: None
) -> Script:
    """A script that receives numbers, does `work` on each, and prints it."""

    def script(process: FakeProcess) -> None:
        process.traces("ready")
        while True:
            number = wire.take(process)
            process.traces("received", number=number)
            work(process, number)
            process.prints(f"{number} , 1.0")

    return script
