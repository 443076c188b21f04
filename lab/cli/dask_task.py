"""What a Dask worker does for a sweep: it makes a run on an embedded lab of its own, and packs it.

A process of its own makes the runs, the same that makes them on this machine (sweep_worker). It
stays warm between tasks. However the Dask worker ends, that process sees its pipe closed,
interrupts its run and takes down its lab.
"""

import json
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.analysis.campaign import Cell
from lab.cli.sweep_pool import Worker
from lab.core.errors import ExitCode, LabError
from lab.experiments import catalogue, fingerprint
from lab.runs import bundle

_IDLE_S = 30.0  # after which a process that waits for a run is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A sweep, as a worker on another machine needs it.

    Attributes:
        sweep: its id.
        experiment: the name of one of the lab's own experiments; of a user's, the file's name.
        files: of a user's own experiment, all of its files by their names; else empty.
        code: the fingerprint of what judges the runs.
        provider: where machines come from.
        inventory: the text of the inventory.
    """

    sweep: str
    experiment: str
    files: Mapping[str, bytes]
    code: Mapping[str, str]
    provider: str
    inventory: str


@dataclass(frozen=True, slots=True)
class Packed:
    """What became of a run: its exit code, its bundle (empty if there is none), its error."""

    code: ExitCode
    name: str
    content: bytes
    said: str


def play(job: Job, cell: Cell, run: str) -> Packed:
    """Make a run of a sweep on this machine; `run` is its id, which goes into run.json."""
    try:
        maker = _take(job)
    except LabError as error:
        return Packed(ExitCode.MISTAKE, "", b"", str(error))
    try:
        return maker.play(cell, run)
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
        # Dask removes what a worker that was killed has left there.
        self._folder = Path(tempfile.mkdtemp(prefix="lab-", dir=get_worker().local_directory))
        try:
            (self._folder / "inventory.yaml").write_text(job.inventory)
            experiment = self._experiment(job)
            if dict(job.code) != fingerprint.code(catalogue.load(experiment)):
                raise LabError(
                    "this worker's lab is another version than the one that wants the sweep",
                    where=str(Path(__file__).parents[2]),
                    hint="update it, and start the worker again",
                )
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        wanted = {
            "experiment": experiment,
            "provider": job.provider,
            "inventory": str(self._folder / "inventory.yaml"),
            "runs": str(self._folder / "runs"),
        }
        self._worker = Worker(json.dumps(wanted), job.sweep)

    def play(self, cell: Cell, run: str) -> Packed:
        done = self._worker.play(0, cell, run)
        if done.directory is None:
            return Packed(done.code, "", b"", done.said)
        try:
            file = bundle.pack(done.directory, self._folder)
            return Packed(done.code, file.name, file.read_bytes(), done.said)
        except LabError as error:
            code = done.code if done.code == ExitCode.BUG else ExitCode.MISTAKE
            return Packed(code, "", b"", str(error))
        finally:
            shutil.rmtree(self._folder / "runs")
            for left in self._folder.glob("*.run.tar.gz"):
                left.unlink()

    def close(self) -> None:
        self._worker.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _experiment(self, job: Job) -> str:
        """Return the experiment's name, or its place here if it is a user's."""
        if not job.files:
            return job.experiment
        folder = self._folder / job.experiment
        for name, content in job.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return str(folder)


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
