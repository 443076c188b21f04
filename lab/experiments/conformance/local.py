"""Runs the programs of an implementation on this computer as the lab would on a machine."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from pushpull.core.errors import LabError
from pushpull.core.trace import Trace, parse
from pushpull.core.vocabulary import BROKER, FILES
from pushpull.engine.program import ProtocolProgram
from pushpull.engine.readiness import BROKER_TIMEOUT_S

PATIENCE_S = 30
_LOOK_S = 0.02


class Mismatch(LabError):
    """A program doesn't do what the protocol demands."""


class Running:
    """A program that runs: its lines come as they are printed.

    Attributes:
        lines: what it printed on stdout.
        said: what it printed on stderr.
    """

    def __init__(self, argv: Sequence[str], cwd: Path, news: threading.Condition) -> None:
        self.lines: list[str] = []
        self.said: list[str] = []
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="backslashreplace",
            start_new_session=True,  # a program may be a script that starts another
        )
        self._news = news  # of all that run together: one may wait for what another prints
        streams = ((self.process.stdout, self.lines), (self.process.stderr, self.said))
        self._readers = [threading.Thread(target=self._read, args=each) for each in streams]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], into: list[str]) -> None:
        for line in stream:
            with self._news:
                into.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, what: Callable[["Running"], Any], words: str) -> None:
        """Return once this is true.

        Raises:
            Mismatch: it has ended, or is never true; `words` say what was waited for.
        """
        with self._news:
            self._news.wait_for(lambda: what(self) or self._is_over(), PATIENCE_S)
            if not what(self):
                raise self.mismatch(f"it doesn't come to this: {words}")

    def traces(self, event: str = "") -> list[Trace]:
        """Return its traces so far, in their order."""
        found = [trace for line in list(self.said) if (trace := parse(line)) is not None]
        return [trace for trace in found if event in ("", trace.event)]

    def wait_ready(self) -> None:
        """Return once it has reported that it is ready."""
        self.wait_for(lambda p: p.traces("ready"), "it reports `ready`")

    def wait_listening(self, address: str) -> None:
        """Return once a server takes connections at its address."""
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        until = time.monotonic() + BROKER_TIMEOUT_S
        while time.monotonic() < until and not self._is_over():
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))):
                return
            time.sleep(_LOOK_S)
        raise self.mismatch("it doesn't listen at its address")

    def end(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise self.mismatch(f"it has not ended by itself after {PATIENCE_S} s") from None
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return status

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal, wait until it has ended, and return its exit status."""
        os.killpg(self.process.pid, number)
        return self.end()

    def mismatch(self, what: str) -> Mismatch:
        """Return the error to raise for this program, with the last lines that it printed."""
        last = [f"stdout: {line}" for line in self.lines[-5:]]
        return Mismatch(
            what, output="\n".join(last + [f"stderr: {line}" for line in self.said[-9:]])
        )

    def _is_over(self) -> bool:
        return self.process.poll() is not None and not any(r.is_alive() for r in self._readers)


class Local:
    """An implementation whose files lie as on a machine: what isn't in its manifest isn't there.

    Arguments:
        programs: those of the implementation, by name.
        folder: an empty folder for their files.
        implementations: the folder of what is installed for implementations on this computer.
        address: where to meet others; by default a free port of this computer.
    """

    def __init__(
        self,
        programs: Mapping[str, ProtocolProgram],
        folder: Path,
        implementations: str,
        address: str = "",
    ) -> None:
        self.programs = programs
        self.address = address
        self._cleanup = contextlib.ExitStack()
        self._folder = folder
        self._implementations = implementations
        self._running: list[Running] = []
        self._news = threading.Condition()

    def __enter__(self) -> "Local":
        if not self.address:
            port = self._cleanup.enter_context(_reserved_port()).getsockname()[1]
            self.address = f"tcp://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._running:
            if running.process.poll() is None:
                running.kill()
        self._cleanup.close()

    def offers(self, program: str) -> frozenset[str]:
        """Return what a program offers, as its manifest says."""
        return self.programs[program].offers

    def start(self, name: str, *words: object, trace: bool = True) -> Running:
        """Start a program with these words besides its address; the broker before the first."""
        if BROKER in self.programs and not self._running and name != BROKER:
            self.start(BROKER, trace=False).wait_listening(self.address)
        program = self.programs[name]
        for file, path in _placed(program, self._folder):
            if not file.exists():  # a program that was started before may be reading it
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(path.read_bytes())
                file.chmod(path.stat().st_mode)
        cwd = self._folder / FILES
        cwd.mkdir(exist_ok=True)
        flags = ["--address", self.address, *map(str, words), *["--trace"] * trace]
        argv = program.argv(sys.executable, flags, self._implementations)
        try:
            self._running.append(Running(argv, cwd, self._news))
        except OSError as error:
            raise Mismatch(f"can't start {argv[0]}: {error.strerror}") from error
        return self._running[-1]


def _placed(program: ProtocolProgram, folder: Path) -> Iterator[tuple[Path, Path]]:
    for name, path in program.deployed.items():
        yield folder / program.folder / name, path


def _reserved_port() -> socket.socket:
    """Return a UDP socket whose port of TCP is free, and is nobody else's while it is open.

    Others that look for a port try that of UDP too. Two that met at one port would take each
    other's messages. The kernel gives it to no connection, as those that come may wait for it.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        reserved = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            reserved.bind(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)):
                return reserved
        except OSError:
            reserved.close()
