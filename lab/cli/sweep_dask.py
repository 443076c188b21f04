"""`fab sweep --scheduler`: the runs of a sweep on the workers of a Dask cluster.

Dask runs a task again if its worker dies, and may run one twice. So each run has an id, which is
also its task's key: however often a run is made, one of them arrives here, and counts.
"""

import contextlib
import importlib.util
import re
import sys
import tempfile
from asyncio import CancelledError
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushpull.analysis.campaign import Cell
from pushpull.cli import dask_task
from pushpull.cli.call import Call
from pushpull.cli.dask_task import Job, Packed
from pushpull.cli.run_experiment import say
from pushpull.cli.sweep_pool import MOST_TRIES, Done
from pushpull.cli.sweep_worker import Answer
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.text import harmless
from pushpull.experiments import catalogue, fingerprint, run_here
from pushpull.runs import bundle, store
from pushpull.runs.directory import adopt

if TYPE_CHECKING:
    from distributed import Client, Future

_ADDRESS = re.compile(r"tcp://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")
_CONNECT_S = 15


def require_scheduler(address: str) -> None:
    """Raise LabError if this is no scheduler's address, or Dask isn't installed."""
    if not _ADDRESS.fullmatch(address):
        hint = "give tcp://HOST:PORT, as `dask scheduler` prints it"
        raise LabError(f"invalid --scheduler '{address}'", hint=hint)
    if importlib.util.find_spec("distributed") is None:
        raise LabError(
            "--scheduler needs Dask, which isn't installed in this environment",
            hint=f"install it: {sys.executable} -m pip install distributed",
        )


class DaskPool:
    """Makes runs as `sweep_pool.Pool` does, on the workers of a cluster.

    Arguments:
        scheduler: its address, `tcp://HOST:PORT`.
        call: what each run is, but for what its cell says. Runs are put into its folder.
        sweep: the sweep's id.
    """

    def __init__(self, scheduler: str, call: Call, sweep: str) -> None:
        self._scheduler = scheduler
        self._call = call
        self._sweep = sweep
        self._experiment = catalogue.load(catalogue.split(call.experiment)[0])
        self._ids: dict[str, set[str]] = defaultdict(set)  # by cell: those that are taken
        self._remarks: set[str] = set()

    def results(self, todo: Iterable[tuple[int, Cell]]) -> Generator[Done, None, None]:
        """Make these runs, each given with its number, and yield them as they arrive.

        A disturbed run is made again, up to three times in all. Closing the generator early
        interrupts runs in progress.

        Raises:
            LabError: no scheduler answers, or it has no workers.
        """
        from distributed import as_completed

        job = self._job()
        self._know_ids()
        tries: Counter[int] = Counter()
        given: dict[Any, tuple[int, Cell, str]] = {}
        with _connected(self._scheduler) as client:
            self._require_workers(client)
            waiting = as_completed(loop=client.loop)

            def submit(number: int, cell: Cell) -> None:
                run = self._new_id(cell)
                key = f"lab-{self._sweep}-{run}"
                future = client.submit(dask_task.play, job, cell, key=key, pure=False)
                given[future.key] = number, cell, run
                waiting.add(future)

            try:
                for number, cell in todo:
                    submit(number, cell)
                for future in waiting:
                    number, cell, run = given.pop(future.key)
                    answer = self._arrived(future, cell, run)
                    future.release()
                    tries[number] += 1
                    again = answer.disturbed and tries[number] < MOST_TRIES
                    if again:
                        submit(number, cell)
                    yield Done(number=number, cell=cell, answer=answer, again=again)
            finally:
                with contextlib.suppress(Exception):  # the cluster may be what has ended
                    client.cancel(list(given))
                    client.run(dask_task.close, self._sweep)

    def _job(self) -> Job:
        files = catalogue.own_files(self._experiment)
        return Job(
            sweep=self._sweep,
            call=self._call,
            experiment=self._experiment.name,
            files={name: path.read_bytes() for name, path in files.items()},
            code=fingerprint.code(self._experiment),
            inventory=self._call.inventory.path.read_text(),
        )

    def _know_ids(self) -> None:
        for path in self._call.runs.glob("*Z-*"):
            with contextlib.suppress(LabError):
                about = store.description(path).get("sweep", {})
                if about.get("id") == self._sweep and "run" in about:
                    self._ids[about["cell"]].add(about["run"])

    def _new_id(self, cell: Cell) -> str:
        taken = self._ids[str(cell)]
        run = next(run for k in range(len(taken) + 1) if (run := f"{cell}/{k}") not in taken)
        taken.add(run)
        return run

    def _require_workers(self, client: "Client") -> None:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise LabError(
                "this scheduler has no workers",
                where=self._scheduler,
                hint=f"start some, in the lab's folder:  .venv/bin/dask worker {self._scheduler}",
            )
        say(f"{len(workers)} worker{'s' * (len(workers) != 1)} at {self._scheduler}")

    def _arrived(self, future: "Future[Packed]", cell: Cell, run: str) -> Answer:
        """Return what became of a run, after putting it into the folder of the runs."""
        try:
            packed = future.result()
        except (Exception, CancelledError) as error:  # whatever a task or the cluster raised
            said = harmless(f"{type(error).__name__}: {error}", 500)
            return Answer(code=ExitCode.INTERRUPTED, said=said, failed=True)
        for remark in set(packed.answer.remarks) - self._remarks:
            self._remarks.add(remark)
            say(harmless(remark, 500))
        if not packed.content:
            return packed.answer
        sweep = {"id": self._sweep, "cell": str(cell), "run": run}
        return replace(packed.answer, directory=str(self._unpacked(packed.content, sweep)))

    def _unpacked(self, content: bytes, sweep: dict[str, str]) -> Path:
        runs = self._call.runs
        with tempfile.TemporaryDirectory(dir=runs, prefix=".arriving-") as scratch:
            file = Path(scratch, "arrived.run.tar.gz")
            file.write_bytes(content)
            run = bundle.unpack(file, Path(scratch))
            return adopt(run, runs, module=self._module(run), sweep=sweep)

    def _module(self, run: Path) -> str | None:
        """Return the user's own experiment if the run was made with exactly that; else None.

        What arrives is unpacked as from a stranger, and has lost the place of its experiment.
        """
        theirs, ours = store.description(run).get("code", {}), fingerprint.code(self._experiment)
        if not self._experiment.is_own or any(theirs.get(name) != ours[name] for name in ours):
            return None
        run_here.remember(self._experiment.file)
        return str(self._experiment.file.resolve())


@contextlib.contextmanager
def _connected(address: str) -> "Iterator[Client]":
    from distributed import Client

    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise LabError(
            f"no Dask scheduler answers: {harmless(str(error), 200)}",
            where=address,
            hint="start one:  .venv/bin/dask scheduler",
        ) from error
    with client:
        yield client
