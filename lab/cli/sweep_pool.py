"""The worker processes of a sweep: each runs one experiment after another on its own lab."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from lab.analysis.campaign import Cell
from lab.core.errors import ExitCode
from lab.core.text import harmless


@dataclass(frozen=True, slots=True)
class Done:
    """A finished run: its number in the sweep, its directory if there is one, its error."""

    number: int
    cell: Cell
    code: ExitCode
    directory: Path | None
    said: str


class Pool:
    """Workers that share the runs of a sweep.

    They have the read ends of pipes; only this process has the write ends. The kernel closes those
    however this process ends; then each worker interrupts its run and ends.
    """

    def __init__(
        self, experiment: str, provider: str, inventory: Path, runs: Path, at_once: int
    ) -> None:
        self._wanted = json.dumps(
            {
                "experiment": experiment,
                "provider": provider,
                "inventory": str(inventory),
                "runs": str(runs),
            }
        )
        self._at_once = at_once
        self._todo: SimpleQueue[tuple[int, Cell]] = SimpleQueue()
        self._left = 0
        self._ended: SimpleQueue[Done] = SimpleQueue()

    def results(self, todo: Iterable[tuple[int, Cell]], sweep: str) -> Generator[Done, None, None]:
        """Make these runs, each given with its number, and yield them as they end.

        Closing the generator early interrupts runs in progress.
        """
        for number, cell in todo:
            self.again(number, cell)
        workers = [Worker(self._wanted, sweep) for _ in range(min(self._at_once, self._left))]
        stopping = threading.Event()
        threads = [
            threading.Thread(target=self._serve, args=[worker, stopping]) for worker in workers
        ]
        for thread in threads:
            thread.start()
        try:
            while self._left:
                done = self._ended.get()
                self._left -= 1
                yield done
        finally:
            stopping.set()
            for worker in workers:
                worker.close()
            for thread in threads:
                thread.join()

    def again(self, number: int, cell: Cell) -> None:
        """Add a run to the queue."""
        self._left += 1
        self._todo.put((number, cell))

    def _serve(self, worker: "Worker", stopping: threading.Event) -> None:
        while not stopping.is_set():
            with suppress(Empty):
                number, cell = self._todo.get(timeout=0.1)
                self._ended.put(worker.play(number, cell))


class Worker:
    """One worker process, which is replaced if it dies."""

    def __init__(self, wanted: str, sweep: str) -> None:
        self._wanted = wanted
        self._sweep = sweep
        self._mutex = threading.Lock()
        self._closed = False
        self._process: subprocess.Popen[str] | None = None
        self._errors = tempfile.TemporaryFile("w+", errors="backslashreplace")  # noqa: SIM115

    def play(self, number: int, cell: Cell, run: str = "") -> Done:
        """Make a run; `run` is its id, if it has one."""
        sweep = {"id": self._sweep, "cell": str(cell)}
        order = {
            "variant": cell.variant,
            "settings": dict(cell.settings),
            "sweep": {**sweep, "run": run} if run else sweep,
        }
        process = self._running()
        if process is None:
            return Done(number, cell, ExitCode.INTERRUPTED, None, "interrupted")
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError, ValueError):  # it died, or was closed meanwhile
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
        if line := process.stdout.readline():
            return _done(number, cell, json.loads(line))
        return self._died(number, cell, process.wait())

    def close(self) -> None:
        """End the worker, and its current run; return once it has ended."""
        with self._mutex:
            self._closed = True
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()

    def _running(self) -> "subprocess.Popen[str] | None":
        with self._mutex:
            if self._closed:
                return None
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "lab.cli.sweep_worker", self._wanted],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    text=True,
                    start_new_session=True,  # only this process gets Ctrl-C, and passes it on once
                )
            return self._process

    def _died(self, number: int, cell: Cell, status: int) -> Done:
        if status < 0:
            how = f"its process was ended by {signal.Signals(-status).name}"
            return Done(number, cell, ExitCode.INTERRUPTED, None, how)
        if status == 0:
            return Done(number, cell, ExitCode.INTERRUPTED, None, "interrupted")
        self._errors.seek(0)
        return Done(number, cell, ExitCode.BUG, None, last_words(self._errors.read()))


def _done(number: int, cell: Cell, answer: dict[str, Any]) -> Done:
    directory = Path(answer["directory"]) if answer["directory"] else None
    return Done(number, cell, ExitCode(answer["code"]), directory, answer["said"])


def last_words(errors: str) -> str:
    """Return the end of a process's error output, without terminal escapes."""
    return harmless(errors.strip()[-500:], 500)
