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
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.analysis.campaign import Cell
from lab.cli import dask_task
from lab.cli.dask_task import Job, Packed
from lab.cli.run_experiment import say
from lab.cli.sweep_pool import Done
from lab.core.errors import ExitCode, LabError
from lab.core.text import harmless
from lab.experiments import catalogue, fingerprint
from lab.machines.inventory import Inventory
from lab.runs import bundle, store
from lab.runs.directory import MODULE, adopt

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
        experiment: the name or path of the experiment.
        provider, inventory: where its machines come from, on every worker.
        runs: the folder into which the runs are put.
    """

    def __init__(
        self, scheduler: str, experiment: str, provider: str, inventory: Inventory, runs: Path
    ) -> None:
        self._scheduler = scheduler
        self._experiment = catalogue.load(experiment)
        self._provider = provider
        self._inventory = inventory
        self._runs = runs
        self._client: Client
        self._job: Job
        self._ids: dict[str, set[str]] = defaultdict(set)  # by cell: those that are taken
        self._submit: Callable[[int, Cell], None]

    def results(self, todo: Iterable[tuple[int, Cell]], sweep: str) -> Generator[Done, None, None]:
        """Make these runs, each given with its number, and yield them as they arrive.

        Closing the generator early interrupts runs in progress.

        Raises:
            LabError: no scheduler answers, or it has no workers that can make these runs.
        """
        from distributed import as_completed

        self._job = self._job_of(sweep)
        self._know_ids(sweep)
        with _connected(self._scheduler) as self._client:
            self._require_workers()
            given: dict[Any, tuple[int, Cell, str]] = {}
            waiting = as_completed(loop=self._client.loop)

            def submit(number: int, cell: Cell) -> None:
                run = self._new_id(cell)
                future = self._client.submit(
                    dask_task.play, self._job, cell, run, key=f"lab-{sweep}-{run}", pure=False
                )
                given[future.key] = number, cell, run
                waiting.add(future)

            self._submit = submit
            try:
                for number, cell in todo:
                    submit(number, cell)
                for future in waiting:
                    number, cell, _ = given.pop(future.key)
                    yield self._arrived(number, cell, future)
                    future.release()
            finally:
                with contextlib.suppress(Exception):  # the cluster may be what has ended
                    self._client.cancel(list(given))
                    self._client.run(dask_task.close, sweep)

    def again(self, number: int, cell: Cell) -> None:
        """Add a run to the queue."""
        self._submit(number, cell)

    def _job_of(self, sweep: str) -> Job:
        experiment = self._experiment
        files = catalogue.own_files(experiment)
        return Job(
            sweep=sweep,
            experiment=experiment.name,
            files={name: path.read_bytes() for name, path in files.items()},
            code=fingerprint.code(experiment),
            provider=self._provider,
            inventory=self._inventory.path.read_text(),
        )

    def _know_ids(self, sweep: str) -> None:
        for path in self._runs.glob("*Z-*"):
            with contextlib.suppress(LabError):
                about = store.load(path).description.get("sweep", {})
                if about.get("id") == sweep and "run" in about:
                    self._ids[about["cell"]].add(about["run"])

    def _new_id(self, cell: Cell) -> str:
        taken = self._ids[str(cell)]
        run = next(run for k in range(len(taken) + 1) if (run := f"{cell}/{k}") not in taken)
        taken.add(run)
        return run

    def _require_workers(self) -> None:
        """Raise LabError if there is no worker, or one lacks the lab."""
        addresses = self._client.scheduler_info(n_workers=-1)["workers"]
        if not addresses:
            raise LabError(
                "this scheduler has no workers",
                where=self._scheduler,
                hint=f"start some, in the lab's folder:  .venv/bin/dask worker {self._scheduler}",
            )
        say(f"{len(addresses)} workers at {self._scheduler}")

    def _arrived(self, number: int, cell: Cell, future: "Future[Packed]") -> Done:
        try:
            packed = future.result()
        except (Exception, CancelledError) as error:  # whatever a task or the cluster raised
            said = harmless(f"{type(error).__name__}: {error}", 500)
            return Done(number, cell, ExitCode.INTERRUPTED, None, said)
        if not packed.content:
            return Done(number, cell, packed.code, None, packed.said)
        return Done(number, cell, packed.code, self._unpacked(packed), packed.said)

    def _unpacked(self, packed: Packed) -> Path:
        """Put a run into the folder of the runs, where its name may be taken."""
        self._runs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._runs, prefix=".arriving-") as scratch:
            file = Path(scratch, "arrived.run.tar.gz")
            file.write_bytes(packed.content)
            run = bundle.unpack(file, Path(scratch))
            return adopt(run, self._runs, module=self._module(run))

    def _module(self, run: Path) -> Path | None:
        """Return the user's own experiment if the run was made with exactly that; None for others.

        What arrives is unpacked as from a stranger, and has lost the place of its experiment.
        """
        own = self._experiment.is_own and self._experiment.file.name == MODULE
        code = store.load(run).description.get("code")
        return self._experiment.file.resolve() if own and code == self._job.code else None


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
