"""The worker processes of a sweep: each makes one run after another on labs of its own."""

import contextlib
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from pushpull.analysis.campaign import Cell
from pushpull.cli.arguments import MOST_LABS
from pushpull.cli.call import Call
from pushpull.cli.capacity import Capacity
from pushpull.cli.run_experiment import say
from pushpull.cli.sweep_nursery import Nursery
from pushpull.cli.sweep_worker import Answer, Order, Request
from pushpull.core.errors import ExitCode
from pushpull.core.text import harmless

MOST_TRIES = 3  # of a run that something disturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run that has ended.

    Attributes:
        number: its place in the list of runs.
        cell: its combination.
        answer: what its worker says of it.
        again: whether it was disturbed, and is made again.
    """

    number: int
    cell: Cell
    answer: Answer
    again: bool = False

    @property
    def directory(self) -> Path | None:
        return Path(self.answer.directory) if self.answer.directory else None


class Pool:
    """Workers that share the runs of a sweep.

    Each has one end of a pair of sockets; only this process has the others. The kernel closes those
    however this process ends; then each worker interrupts its run and ends.

    Arguments:
        call: what each run is, but for what its cell says.
        limit: how many labs may run at once.
        sweep: the sweep's id, for run.json; empty if the runs belong to none.
    """

    def __init__(self, call: Call, limit: Capacity, sweep: str = "") -> None:
        self._call = call
        self._limit = limit
        self._sweep = sweep
        self._workers: list[Worker] = []
        self._remarks: set[str] = set()
        self._nursery: Nursery | None = None

    def results(self, todo: Iterable[tuple[int, Cell]]) -> Generator[Done, None, None]:
        """Make these runs, each given with its number, and yield them as they end.

        The next one is taken when there is room for it. A disturbed run is made again, up to three
        times in all. Closing the generator early interrupts runs in progress.
        """
        new = iter(todo)
        waiting: deque[tuple[int, Cell]] = deque()
        tries: Counter[int] = Counter()
        ended: SimpleQueue[Done] = SimpleQueue()
        idle: list[Worker] = []
        busy = 0

        def play(worker: Worker, number: int, cell: Cell) -> None:
            answer = worker.play(cell)
            idle.append(worker)  # before `ended` hears of it, so that it is reused
            ended.put(Done(number=number, cell=cell, answer=answer))

        try:
            with ThreadPoolExecutor(MOST_LABS) as threads, self._hanging_up():
                while True:
                    while busy < self._limit.labs:
                        if not waiting:
                            waiting.extend(islice(new, 1))
                        if not waiting:
                            break
                        worker = idle.pop() if idle else self._new()
                        threads.submit(play, worker, *waiting.popleft())
                        busy += 1
                    if not busy:
                        break
                    done = ended.get()
                    busy -= 1
                    tries[done.number] += 1
                    self._limit.note(done.answer.busy, done.answer.late_s)
                    self._pass_on(done.answer.remarks)
                    if done.answer.disturbed and tries[done.number] < MOST_TRIES:
                        done = replace(done, again=True)
                        waiting.appendleft((done.number, done.cell))
                    yield done
        finally:
            for worker in self._workers:
                worker.join()
            if self._nursery is not None:
                self._nursery.close()

    @contextlib.contextmanager
    def _hanging_up(self) -> Iterator[None]:
        """Let all workers end after the block, so that no thread waits for a run."""
        try:
            yield
        finally:
            for worker in self._workers:
                worker.hang_up()

    def _new(self) -> "Worker":
        if self._nursery is None:
            self._nursery = Nursery()
        worker = Worker(self._nursery, Order(call=self._call, sweep=self._sweep))
        self._workers.append(worker)
        return worker

    def _pass_on(self, remarks: Iterable[str]) -> None:
        for remark in remarks:
            if remark not in self._remarks:
                say(remark)
            self._remarks.add(remark)


class Worker:
    """One worker process, which is replaced if it dies."""

    def __init__(self, nursery: Nursery, order: Order) -> None:
        self._nursery = nursery
        self._order = order
        self._mutex = threading.Lock()
        self._closed = False
        self._connection: Connection | None = None
        self._errors = tempfile.TemporaryFile("w+", errors="backslashreplace")  # noqa: SIM115

    def play(self, cell: Request) -> Answer:
        """Make a run, or find out something about the machines; return what became of it."""
        connection = self._running()
        if connection is None:
            return Answer(code=ExitCode.INTERRUPTED, said="interrupted", failed=True)
        with suppress(OSError, EOFError):  # it died, or was told to end meanwhile
            connection.send(cell)
            answer: Answer = connection.recv()
            return answer
        return self._died()

    def hang_up(self) -> None:
        """Let the worker end, and its current run."""
        with self._mutex:
            self._closed = True
            if self._connection is not None:
                with suppress(OSError), socket.socket(fileno=self._connection.fileno()) as end:
                    try:
                        end.shutdown(socket.SHUT_WR)
                    finally:
                        end.detach()

    def join(self) -> None:
        """Return once the worker has ended, after `hang_up` and the end of `play`."""
        if self._connection is not None:
            with suppress(OSError, EOFError):
                while True:
                    self._connection.recv()
            self._connection.close()
        self._errors.close()

    def _running(self) -> Connection | None:
        with self._mutex:
            if self._closed:
                return None
            if self._connection is None:
                self._connection = self._nursery.fork(self._errors)
                self._connection.send(self._order)
            return self._connection

    def _died(self) -> Answer:
        with self._mutex:
            if self._connection is not None and not self._closed:
                self._connection.close()
                self._connection = None
        if self._closed:
            return Answer(code=ExitCode.INTERRUPTED, said="interrupted", failed=True)
        self._errors.seek(0)
        if said := last_words(self._errors.read()):
            return Answer(code=ExitCode.BUG, said=said, failed=True)
        # A worker with a bug says so: this one was killed from outside.
        return Answer(code=ExitCode.INTERRUPTED, said="its process was killed", failed=True)


def last_words(errors: str) -> str:
    """Return the end of a process's error output, without terminal escapes."""
    return harmless(errors.strip()[-500:], 500)
