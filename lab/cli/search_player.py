"""Plays schedules in warm labs: each is an experiment of its own, made by a worker of a sweep."""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from pushpull.analysis.campaign import Cell
from pushpull.cli.call import Call
from pushpull.cli.search_space import key
from pushpull.cli.search_tried import DISTURBED, FAILED, Trial, came_up
from pushpull.cli.sweep_nursery import Nursery
from pushpull.cli.sweep_pool import MOST_TRIES, Worker
from pushpull.cli.sweep_worker import Answer, Order, WhichFaults
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.faults.planned import Schedule
from pushpull.experiments import scheduled
from pushpull.experiments.scheduled import Scheduled
from pushpull.runs import store

TRIED = "tried"
_LONGEST_NAME = 40


class LabPlayer:
    """Plays schedules, several at once.

    Arguments:
        call: what each run is; its folder of runs is the search's own.
        base: the experiment, without a schedule.
        labs: how many play at once.
    """

    def __init__(self, call: Call, base: Scheduled, labs: int) -> None:
        self.labs = labs
        self._call = call
        self._base = base
        self._nursery = Nursery()
        self._workers = [Worker(self._nursery, Order(call=call, sweep="")) for _ in range(labs)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(labs)

    def submit(self, schedule: Schedule) -> "Future[Trial]":
        """Play a schedule as soon as a lab is free; a disturbed run is made again."""
        folder = self._written(schedule)
        return self._threads.submit(self._play, schedule, folder)

    def refusals(self) -> "Future[Mapping[str, str]]":
        """Find out why faults of networks and clocks are impossible, by the names of those."""
        return self._threads.submit(self._refusals)

    @contextlib.contextmanager
    def closing(self) -> Iterator["LabPlayer"]:
        """End everything after the block; runs in progress are interrupted."""
        try:
            yield self
        finally:
            for worker in self._workers:
                worker.hang_up()
            self._threads.shutdown(cancel_futures=True)
            for worker in self._workers:
                worker.join()
            self._nursery.close()

    def _written(self, schedule: Schedule) -> Path:
        digest = hashlib.sha256(key(schedule).encode()).hexdigest()[:8]
        name = self._base.experiment.name[: _LONGEST_NAME - 9]
        folder = self._call.runs / TRIED / f"{name}_{digest}"
        if not folder.exists():
            made = folder.with_name(f".{folder.name}")
            shutil.rmtree(made, ignore_errors=True)
            scheduled.write(replace(self._base, schedule=schedule), made, scheduled.linked)
            made.rename(folder)
        return folder

    def _play(self, schedule: Schedule, folder: Path) -> Trial:
        worker = self._idle.get()
        try:
            for _ in range(MOST_TRIES):
                answer = worker.play(Cell("", experiment=str(folder)))
                if not answer.disturbed and answer.code != ExitCode.INTERRUPTED:
                    break
        finally:
            self._idle.put(worker)
        return self._trial(schedule, answer)

    def _refusals(self) -> Mapping[str, str]:
        worker = self._idle.get()
        try:
            answer = worker.play(WhichFaults())
        finally:
            self._idle.put(worker)
        if answer.failed:
            raise LabError("the machines can't be asked for their faults", hint=answer.said)
        return answer.refusals

    def _trial(self, schedule: Schedule, answer: Answer) -> Trial:
        run = Path(answer.directory).name if answer.directory else ""
        if answer.failed or not run:
            nothing = [False] * len(schedule)
            return Trial(
                schedule=schedule, outcome=FAILED, came_up=nothing, run=run, why=answer.said
            )
        stored = store.load(Path(answer.directory))
        verdict = next(iter(stored.verdicts or ()))
        return Trial(
            schedule=schedule,
            outcome=DISTURBED if answer.disturbed else str(verdict["verdict"]),
            came_up=came_up(schedule, stored.events),
            run=run,
            why=str(verdict["why"]),
        )
