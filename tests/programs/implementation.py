"""Runs the programs of an implementation as the lab would, on this computer."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lab.core.trace import Trace, parse
from lab.experiments.manifest import Manifest
from lab.machines import installer

PATIENCE_S = 30


class Running:
    """A program that runs: its lines come as they are printed."""

    def __init__(self, argv: list[str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.said: list[str] = []
        self._news = threading.Condition()
        streams = ((self.process.stdout, self.lines), (self.process.stderr, self.said))
        self._readers = [threading.Thread(target=self._read, args=each) for each in streams]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Iterator[str], into: list[str]) -> None:
        for line in stream:
            with self._news:
                into.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, what: Callable[["Running"], Any]) -> Any:
        """Return what is waited for once it is true; AssertionError if it never is."""
        with self._news:
            assert self._news.wait_for(lambda: what(self), PATIENCE_S), (self.lines, self.said)
            return what(self)

    def traces(self, event: str = "") -> list[Trace]:
        """Return its traces so far, in their order."""
        found = [trace for line in self.said if (trace := parse(line)) is not None]
        return [trace for trace in found if event in ("", trace.event)]

    def wait_ready(self) -> None:
        self.wait_for(lambda p: p.traces("ready"))

    def end(self) -> int:
        """Wait until it has ended by itself; return its exit status."""
        status = self.process.wait(PATIENCE_S)
        for reader in self._readers:
            reader.join(PATIENCE_S)
        return status

    def kill(self, number: int = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        return self.end()


class Implementation:
    """An implementation whose files lie as on a machine: what isn't in its manifest isn't there."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.manifest, self.address = manifest, f"tcp://127.0.0.1:{_free_port()}"
        self._folder = folder
        self._running: list[Running] = []

    def offers(self, program: str) -> frozenset[str]:
        return self.manifest.programs[program].offers

    def start(self, name: str, *words: object, trace: bool = True, address: str = "") -> Running:
        program = self.manifest.programs[name]
        program.deploy(SimpleNamespace(put=self._put), "")  # type: ignore[arg-type]
        files = self._folder / "files"
        files.mkdir(exist_ok=True)
        flags = ["--address", address or self.address, *map(str, words)]
        argv = program.argv(sys.executable, flags + ["--trace"] * trace, str(installer.root()))
        self._running.append(Running(argv, files))
        return self._running[-1]

    def end_all(self) -> None:
        for running in self._running:
            if running.process.poll() is None:
                running.kill()

    def _put(self, folder: str, files: dict[str, Path]) -> None:
        for name, path in files.items():
            target = self._folder / folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            os.chmod(target, path.stat().st_mode)  # noqa: PTH101


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
