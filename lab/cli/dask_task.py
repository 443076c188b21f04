"""What a Dask worker does for a sweep: it makes a run on an embedded lab of its own, and packs it.

A process of its own makes the runs, the same that makes them on this computer (sweep_worker). It
stays warm between tasks. However the Dask worker ends, that process sees its connection end,
interrupts its run and takes down its lab.
"""

import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pushpull.analysis.campaign import Cell
from pushpull.cli.call import Call
from pushpull.cli.sweep_nursery import Nursery
from pushpull.cli.sweep_pool import Worker
from pushpull.cli.sweep_worker import Answer, Order
from pushpull.core.errors import ExitCode, LabError
from pushpull.experiments import catalogue, fingerprint
from pushpull.machines.inventory import load
from pushpull.runs import bundle

_IDLE_S = 30.0  # after which a process that waits for a run is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A sweep, as a worker on another computer needs it.

    Attributes:
        sweep: its id.
        call: what a run is, but for what its cell says; its paths are those of the other computer.
        experiment: the experiment's name.
        files: of a user's own experiment, all of its files by their names; else empty.
        code: the fingerprint of what judges the runs.
        inventory: the text of the inventory.
    """

    sweep: str
    call: Call
    experiment: str
    files: Mapping[str, bytes]
    code: Mapping[str, str]
    inventory: str


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of a run, and its bundle; that is empty if there is none."""

    answer: Answer
    content: bytes = b""


def play(job: Job, cell: Cell) -> Packed:
    """Make a run of a sweep on this computer."""
    try:
        maker = _take(job)
    except LabError as error:
        return Packed(Answer(code=ExitCode.MISTAKE, said=str(error), failed=True))
    try:
        return maker.play(cell)
    finally:
        _give_back(maker)


def close(sweep: str) -> None:
    """End all processes that make runs of a sweep here, with the runs in progress."""
    with _mutex:
        makers = list(_all.pop(sweep, ()))
        _idle.pop(sweep, None)
    # The caller is the thread in which the worker talks to the scheduler: it must not wait.
    for maker in makers:
        threading.Thread(target=maker.close).start()


class _Maker:
    """A process that makes runs, and a folder for them."""

    def __init__(self, job: Job) -> None:
        from distributed import get_worker  # only a worker needs to have it

        self.sweep = job.sweep
        self.timer: threading.Timer | None = None
        self._playing = threading.Lock()
        # Dask removes what a worker that was killed has left there.
        self._folder = Path(tempfile.mkdtemp(prefix="lab-", dir=get_worker().local_directory))
        try:
            call = self._call(job)
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        self._nursery = Nursery()
        self._worker = Worker(self._nursery, Order(call=call, sweep=job.sweep))

    def play(self, cell: Cell) -> Packed:
        """Make a run, and pack it."""
        with self._playing:
            answer = self._worker.play(cell)
        if not answer.directory:
            return Packed(answer)
        run = Path(answer.directory)
        try:
            file = bundle.pack(run, self._folder)
            content = file.read_bytes()
            file.unlink()
        except LabError as error:  # a spoiled run
            code = answer.code if answer.code == ExitCode.BUG else ExitCode.MISTAKE
            said = answer.said or str(error)
            return Packed(replace(answer, code=code, directory="", said=said, failed=True))
        shutil.rmtree(run)
        return Packed(answer, content)

    def close(self) -> None:
        """Interrupt the run in progress, if any; return when nothing is left of it."""
        self._worker.hang_up()
        with self._playing:
            self._worker.join()
        self._nursery.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _call(self, job: Job) -> Call:
        """Return the call with this computer's paths; LabError if its lab is another version."""
        inventory = self._folder / "inventory.yaml"
        inventory.write_text(job.inventory)
        experiment = job.experiment
        for name, content in job.files.items():
            file = self._folder / job.experiment / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            experiment = str(self._folder / job.experiment)
        if dict(job.code) != fingerprint.code(catalogue.load(experiment)):
            raise LabError(
                "this worker's lab is not of the version that wants the sweep",
                where=str(Path(__file__).parents[2]),
                hint="update it, and start the worker again",
            )
        runs = self._folder / "runs"
        return replace(job.call, experiment=experiment, inventory=load(inventory), runs=runs)


_mutex = threading.Lock()
_idle: defaultdict[str, list[_Maker]] = defaultdict(list)
_all: defaultdict[str, set[_Maker]] = defaultdict(set)


def _take(job: Job) -> _Maker:
    with _mutex:
        if _idle[job.sweep]:
            maker = _idle[job.sweep].pop()
            if maker.timer is not None:
                maker.timer.cancel()
            return maker
    maker = _Maker(job)
    with _mutex:
        _all[job.sweep].add(maker)
    return maker


def _give_back(maker: _Maker) -> None:
    """Keep a process for the next run; end it if there is none for a while."""
    maker.timer = threading.Timer(_IDLE_S, _expire, [maker])
    maker.timer.daemon = True
    with _mutex:
        if maker in _all[maker.sweep]:
            _idle[maker.sweep].append(maker)
            maker.timer.start()


def _expire(maker: _Maker) -> None:
    with _mutex:
        if maker not in _idle[maker.sweep]:
            return
        _idle[maker.sweep].remove(maker)
        _all[maker.sweep].discard(maker)
    maker.close()
