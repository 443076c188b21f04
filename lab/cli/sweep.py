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
import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pushpull.analysis.campaign import Cell, cells, is_done, name_of, plan, tallies_of
from pushpull.analysis.outcome_table import table
from pushpull.cli import campaign_files, run_experiment
from pushpull.cli.call import Call, role_of, with_setting
from pushpull.cli.capacity import Capacity
from pushpull.cli.run_experiment import say
from pushpull.cli.sweep_pool import Done, Pool
from pushpull.core.errors import ExitCode, LabError, worst
from pushpull.core.os_errors import file_errors
from pushpull.core.wording import counted
from pushpull.experiments import catalogue, fingerprint
from pushpull.machines.providers.registry import choose
from pushpull.report.tallies import print_exceptions
from pushpull.runs import store
from pushpull.runs.store import StoredRun

if TYPE_CHECKING:
    from pushpull.cli.sweep_dask import DaskPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign(ABC):
    """Runs of many cells, and how often each is repeated.

    `call` is what a run is but for what varies. `at_once` is the number of labs side by side, None
    for as many as this computer carries. `scheduler` is the address of a Dask scheduler whose
    workers make the runs; empty for this computer.
    """

    call: Call
    repeat: int
    at_once: int | None
    scheduler: str = ""

    @property
    @abstractmethod
    def id(self) -> str:
        """Identifies the campaign: a hash of all but the cell on which a result depends."""

    @property
    def most_added(self) -> int:
        """How many machines a cell has at most beside those of the inventory."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep(Campaign):
    """One experiment, and the settings to vary."""

    vary: Mapping[str, Sequence[str]]

    @property
    def id(self) -> str:
        code = fingerprint.code(catalogue.load(self.experiment))
        inventory = self.call.inventory.path.read_text()
        whole = json.dumps([self.name, code, self.call.provider, inventory])
        return hashlib.sha256(whole.encode()).hexdigest()[:12]

    @property
    def experiment(self) -> str:
        """The experiment as the user named it, perhaps with one of its variants."""
        return self.call.experiment

    @property
    def name(self) -> str:
        return catalogue.split(self.experiment)[0]

    @property
    def resizing(self) -> list[str]:
        """The settings that vary the number of machines."""
        return [name for name in self.vary if role_of(self.call, name)]

    @property
    def most_added(self) -> int:
        return max([int(n) for name in self.resizing for n in self.vary[name]], default=0)

    @property
    def command(self) -> str:
        """The command line that continues the sweep, and adds runs to it."""
        words = ["./fab", "sweep", "--experiment", self.experiment]
        words += [
            word for name, v in self.vary.items() for word in ("--vary", f"{name}={','.join(v)}")
        ]
        words += ["--repeat", str(self.repeat), "--provider", self.call.provider]
        words += ["--inventory", str(self.call.inventory.path), "--runs", str(self.call.runs)]
        return shlex.join(words)


def run(sweep: Sweep) -> ExitCode:
    """Run what is missing, print the tables, and return the worst exit code of the runs made.

    A disturbed run is repeated, up to three times in all.

    Raises:
        LabError: another sweep is at work in the folder of the runs.
    """
    every = cells(catalogue.load(sweep.experiment).variants, sweep.vary)
    require_machines(sweep)
    with completing(sweep, every) as (codes, done):
        _show(sweep, every, done)
    return worst(codes)


@contextlib.contextmanager
def completing(
    campaign: Campaign, every: Sequence[Cell]
) -> Generator[tuple[list[ExitCode], list[StoredRun]], None, None]:
    """Run what is missing of these cells; give the exit codes, and the runs that count by now.

    Afterwards print how many are still missing.

    Raises:
        LabError: another campaign is at work in the folder of the runs.
    """
    with alone_in(campaign.call.runs):
        before = runs_of(campaign)
        todo = list(plan(every, campaign.repeat, before))
        if there := campaign.repeat * len(every) - len(todo):
            exist, are = "exists" if there == 1 else "exist", "is" if len(todo) == 1 else "are"
            known = f"{counted(there, 'run')} {exist} already"
            print(f"{known}, {len(todo)} {are} missing", flush=True)
        codes = list(_run_all(campaign, todo))
        done = runs_of(campaign) if todo else before
        yield codes, done
        if missing := len(list(plan(every, campaign.repeat, done))):
            what = f"{counted(missing, 'run')} still missing"
            print(f"{what}: cut, disturbed or failed; repeat the command")


def _run_all(sweep: Campaign, todo: Sequence[Cell]) -> Iterator[ExitCode]:
    """Make these runs, report each as it ends, and yield its exit code."""
    ended = 0
    pool = _pool(sweep)
    try:
        with contextlib.closing(pool.results(enumerate(todo))) as results:
            for done in results:
                if done.again:
                    print(f"{done.cell}: disturbed, so it is repeated", flush=True)
                    continue
                ended += 1
                print(f"{ended} of {len(todo)}: {done.cell}: {described(done)}", flush=True)
                yield done.answer.code
    except KeyboardInterrupt:
        of = f"{ended} of {counted(len(todo), 'run')}"
        print(f"interrupted after {of}; repeat the command to continue", flush=True)
        yield ExitCode.INTERRUPTED


def _pool(sweep: Campaign) -> "Pool | DaskPool":
    if not sweep.scheduler:
        return Pool(sweep.call, limit_of(sweep), sweep.id)
    from pushpull.cli.sweep_dask import DaskPool

    return DaskPool(sweep.scheduler, sweep.call, sweep.id)


def require_machines(sweep: Sweep) -> None:
    """Raise LabError if numbers of machines vary where they are as they are."""
    for name in sweep.resizing:
        if not choose(sweep.call.provider, sweep.call.inventory, say).makes_machines:
            raise LabError(
                f"--vary {name} needs machines that are made for each run",
                hint="use --provider namespaces",
            )


def limit_of(sweep: Campaign) -> Capacity:
    """Return how many labs run side by side."""
    call = sweep.call
    if not sweep.most_added and choose(call.provider, call.inventory, say).is_shared():
        if sweep.at_once is None or sweep.at_once > 1:
            say("all runs share these machines, so they take place one after another")
        return Capacity.fixed(1)
    if sweep.at_once is not None:
        return Capacity.fixed(sweep.at_once)
    return Capacity.measured(len(call.inventory.machines) + sweep.most_added)


def _show(sweep: Sweep, every: Sequence[Cell], done: Sequence[StoredRun]) -> None:
    """Print the tables of the runs that count, and write the files beside them."""
    known = {str(cell): cell for cell in every}
    runs = [
        campaign_files.measured(known[name_of(stored)], stored)
        for stored in done
        if name_of(stored) in known
    ]
    found = {str(cell): [one for its, _, one in runs if its == cell] for cell in every}
    print(f"\n{table({name: outcomes for name, outcomes in found.items() if outcomes})}\n")
    print_exceptions(tallies_of(every, runs), file=sys.stdout)
    campaign_files.write(sweep.call.runs, f"sweep-{sweep.id}", sweep.command, every, runs)


def runs_of(sweep: Campaign) -> list[StoredRun]:
    """Return the runs of this campaign that count, oldest first."""
    found = []
    for path in sorted(sweep.call.runs.glob("*Z-*")):
        with contextlib.suppress(LabError):  # another run's trouble is not this sweep's
            if store.belongs_to_sweep(path, sweep.id) and is_done(stored := store.load(path)):
                found.append(stored)
    return found


def described(done: Done) -> str:
    """Return what became of a run, in words."""
    answer = done.answer
    if answer.code == ExitCode.EXPECTED:
        return "as expected"
    parts = [f"exit code {int(answer.code)}", answer.directory, answer.said]
    return ", ".join(filter(None, parts))


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
                "another sweep, or a repeated experiment, is using this folder",
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
            run_experiment.experiments_of(with_setting(call, name, value), "--vary")
    run_experiment.remark_settings(
        run_experiment.experiments_of(call).values(), flags, flag="--vary"
    )
    return found
