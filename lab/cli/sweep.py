"""`fab sweep`: runs every combination of settings several times, in parallel labs; one table.

A sweep has no state of its own: each run.json names the sweep and the cell to which it belongs. So
the same command continues a sweep that ended in whatever way, and prints the table of a complete
one.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.analysis.campaign import Cell, cells, csv_of, is_done, name_of, plan
from lab.analysis.history import Run
from lab.analysis.outcome_table import outcome, table
from lab.cli import run_experiment
from lab.cli.call import Call, with_setting
from lab.cli.run_experiment import say
from lab.cli.sweep_pool import Done, Pool
from lab.core.errors import ExitCode, LabError, worst
from lab.core.os_errors import file_errors
from lab.experiments import catalogue, fingerprint
from lab.machines.inventory import Inventory
from lab.machines.providers.registry import choose
from lab.runs import store
from lab.runs.store import StoredRun

if TYPE_CHECKING:
    from lab.cli.sweep_dask import DaskPool

_MOST_TRIES = 3  # of a run that something disturbed


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to run: the settings to vary, how often to repeat each cell, how many labs at once."""

    experiment: str
    provider: str
    inventory: Inventory
    vary: Mapping[str, Sequence[str]]
    repeat: int
    at_once: int
    runs: Path
    scheduler: str = ""

    @property
    def id(self) -> str:
        """Identifies the sweep: a hash of everything but the cell on which a result depends."""
        code = fingerprint.code(catalogue.load(self.experiment))
        inventory = self.inventory.path.read_text()
        whole = json.dumps([self.name, code, self.provider, inventory])
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return catalogue.split(self.experiment)[0]


def run(sweep: Sweep) -> ExitCode:
    """Run what is missing, print the table, and return the worst exit code of the runs made.

    A disturbed run is repeated, up to three times in all.

    Raises:
        LabError: another sweep is at work in the folder of the runs.
    """
    every = cells(catalogue.load(sweep.experiment).variants, sweep.vary)
    with alone_in(sweep.runs):
        before = runs_of(sweep)
        todo = list(plan(every, sweep.repeat, before))
        if before:
            print(f"{len(before)} runs exist already, {len(todo)} are missing", flush=True)
        codes = list(_run_all(sweep, todo))
        _print_table(sweep, every)
        if missing := len(list(plan(every, sweep.repeat, runs_of(sweep)))):
            print(f"{missing} runs are missing: cut, disturbed or failed; repeat the command")
    return worst(codes)


def _run_all(sweep: Sweep, todo: Sequence[Cell]) -> Iterator[ExitCode]:
    """Make these runs, report each as it ends, and yield its exit code."""
    tries: Counter[int] = Counter()
    ended = 0
    pool = _pool(sweep)
    try:
        with contextlib.closing(pool.results(enumerate(todo), sweep.id)) as results:
            for done in results:
                tries[done.number] += 1
                if _was_disturbed(done) and tries[done.number] < _MOST_TRIES:
                    print(f"{done.cell}: disturbed, so it is repeated", flush=True)
                    pool.again(done.number, done.cell)
                    continue
                ended += 1
                print(f"{ended} of {len(todo)}: {done.cell}: {described(done)}", flush=True)
                yield done.code
    except KeyboardInterrupt:
        print(
            f"interrupted after {ended} of {len(todo)} runs; repeat the command to continue",
            flush=True,
        )
        yield ExitCode.INTERRUPTED


def _pool(sweep: Sweep) -> "Pool | DaskPool":
    if not sweep.scheduler:
        return Pool(sweep.name, sweep.provider, sweep.inventory.path, sweep.runs, at_once_of(sweep))
    from lab.cli.sweep_dask import DaskPool

    return DaskPool(sweep.scheduler, sweep.name, sweep.provider, sweep.inventory, sweep.runs)


def at_once_of(sweep: Sweep) -> int:
    """Return how many labs run side by side."""
    if sweep.at_once > 1 and choose(sweep.provider, sweep.inventory, say).is_shared():
        say("all runs share these machines, so they take place one after another")
        return 1
    return sweep.at_once


def _print_table(sweep: Sweep, every: Sequence[Cell]) -> None:
    known = {str(cell): cell for cell in every}
    rows = [
        (known[name_of(stored)], stored, outcome(_run(stored), _interval(stored)))
        for stored in runs_of(sweep)
        if name_of(stored) in known
    ]
    found = {str(cell): [one for its, _, one in rows if its == cell] for cell in every}
    print(f"\n{table({name: outcomes for name, outcomes in found.items() if outcomes})}")
    path = sweep.runs / f"sweep-{sweep.id}.csv"
    with file_errors(path):
        path.write_text(csv_of(rows), "utf-8")
    print(f"\ntable: {path}")


def _run(stored: StoredRun) -> Run:
    return Run(stored, catalogue.reader(stored))


def _interval(stored: StoredRun) -> float:
    return float(stored.description["parameters"]["interval"])


def runs_of(sweep: Sweep) -> list[StoredRun]:
    """Return the runs of this sweep that count, oldest first."""
    found = []
    for path in sorted(sweep.runs.glob("*Z-*")):
        with contextlib.suppress(LabError):  # another run's trouble is not this sweep's
            if store.belongs_to_sweep(path, sweep.id) and is_done(stored := store.load(path)):
                found.append(stored)
    return found


def _was_disturbed(done: Done) -> bool:
    if done.directory is None:
        return False
    description = store.load(done.directory).description
    return bool(description.get("disturbance", {}).get("disturbed"))


def described(done: Done) -> str:
    """Return what became of a run, in words."""
    if done.code == ExitCode.EXPECTED:
        return "as expected"
    about = [str(done.directory)] if done.directory else []
    return ", ".join([f"exit code {int(done.code)}", *about, *([done.said] if done.said else [])])


@contextlib.contextmanager
def alone_in(runs: Path) -> Iterator[None]:
    """Lock a folder against other sweeps, which would make the same runs."""
    with file_errors(runs):
        runs.mkdir(parents=True, exist_ok=True)
        folder = os.open(runs, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            raise LabError(
                "another sweep is using this folder",
                where=str(runs),
                hint="wait until it ends, or name another folder with --runs",
            ) from None
    try:
        yield
    finally:
        os.close(folder)


def whole(flag: str, text: str, most: int) -> int:
    """Return a whole number from 1 to `most`; LabError if the text isn't one."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise LabError(f"invalid {flag} '{text}'", hint=f"give a whole number from 1 to {most:,}")
    return int(text)


def varied(call: Call, flags: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each setting in flags such as `--vary NAME=VALUE,VALUE`.

    Raises:
        LabError: a setting or a value is invalid.
    """
    found: dict[str, list[str]] = {}
    for flag in flags:
        name, _, values = flag.partition("=")
        found[name] = list(dict.fromkeys(values.split(",")))
        for value in found[name]:
            run_experiment.experiments_of(with_setting(call, name, value))
    return found
