"""`fab sweep --scheduler`: the runs of a sweep on Dask workers; the table is the same."""

import contextlib
import csv
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import command
import made_runs
import pytest
from leftovers import Family, adopt_orphans, command_of

from pushpull.cli import sweep_dask
from pushpull.core.errors import ExitCode, LabError
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store
from pushpull.runs.directory import adopt

LIMIT_S = 30
SAME = ("variant", "count", "sent", "received", "never", "twice", "all_arrives")
MODULE = '''"""Counts, in two ways."""

from pushpull.api import Verdict, claim, experiment, lines


@experiment(
    source="a test", variants=["one", "two"], count=3, interval=0.1,
    reads=lines(sent={"count": r"sent (\\d+)"}, received={"count": r"got (\\d+)"}),
)
def counting(lab):
    lab.start("count", on="pusher").wait()


@claim("All that it sends arrives.")
def all_arrives(run):
    return Verdict.holds("yes") if len(run.sent) == len(run.received) else Verdict.refuted("no")
'''
PROGRAM = """#!/bin/sh
n=0
while [ "$n" -lt "$LAB_COUNT" ]; do
    echo "sent $n"
    echo "got $n"
    n=$((n + 1))
    sleep "$LAB_INTERVAL"
done
"""


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    folder = tmp_path / "counting"
    folder.mkdir()
    (folder / "experiment.py").write_text(MODULE)
    (folder / "count.sh").write_text(PROGRAM)
    return folder


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    path = Path(shutil.copy(command.PROJECT / "inventory.yaml", tmp_path))
    yield path
    shutil.rmtree(lab_folder.folder("namespaces", load(path)), ignore_errors=True)


@contextlib.contextmanager
def started(tmp_path: Path, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a part of a Dask cluster; end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


@contextlib.contextmanager
def cluster(tmp_path: Path, workers: int) -> Iterator[tuple[str, list["subprocess.Popen[str]"]]]:
    """Give a scheduler's address and its worker processes, all on loopback."""
    with contextlib.ExitStack() as up:
        flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-jupyter")
        scheduler = up.enter_context(started(tmp_path, "distributed.cli.dask_scheduler", *flags))
        said = command.read_until(scheduler, "Scheduler at:")
        address = re.findall(r"tcp://127\.0\.0\.1:[0-9]+", said)[-1]
        flags = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        begun = [
            up.enter_context(started(tmp_path, "distributed.cli.dask_worker", address, *flags))
            for _ in range(workers)
        ]
        for worker in begun:
            command.read_until(worker, "Registered to:")
        yield address, begun


def sweep(experiment: Path, inventory: Path, runs: Path, *flags: object) -> tuple[object, ...]:
    return (
        *("sweep", "--experiment", experiment, "--provider", "namespaces"),
        *("--inventory", inventory, "--runs", runs, "--vary", "count=2,4", *flags),
    )


def rows(root: Path) -> list[tuple[str, ...]]:
    """Return the table of the only sweep in a folder, without names of runs and without times."""
    (table,) = root.glob("sweep-????????????.csv")
    found = csv.DictReader(table.open())
    return sorted(tuple(row[name] for name in SAME) for row in found)


@pytest.mark.slow
@pytest.mark.timeout(
    300
)  # each part of a cluster takes a second to start, or five on a busy machine
def test_three_workers_of_which_one_is_killed_make_the_same_table(
    experiment: Path, inventory: Path, tmp_path: Path
) -> None:
    adopt_orphans()
    there, here = tmp_path / "there", tmp_path / "here"
    family = Family(os.getpid())
    with cluster(tmp_path, 3) as (address, workers):
        flags = sweep(experiment, inventory, there, "--repeat", 2, "--scheduler", address)
        with command.started(*flags) as sweeping:
            said = command.read_until(sweeping, "3 of 8: ")
            victim = workers[1]
            its = Family(victim.pid)
            while not any("count.sh" in command_of(pid) for pid in its.alive()):
                assert sweeping.poll() is None, sweeping.communicate()[0]
            its.look()
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            said += sweeping.communicate()[0]
        assert sweeping.returncode == ExitCode.EXPECTED, said
        assert "8 of 8: " in said
        assert its.gone_within(LIMIT_S)
        family.look()
    assert family.gone_within(LIMIT_S)
    made = [store.load(path) for path in there.glob("*Z-*")]
    cells = Counter(run.description["sweep"]["cell"] for run in made)
    assert cells == {f"{v} count={n}": 2 for v in ("one", "two") for n in (2, 4)}
    assert len({(r.description["sweep"]["cell"], r.description["sweep"]["run"]) for r in made}) == 8
    local = command.fab(*sweep(experiment, inventory, here, "--repeat", 2))
    assert local.returncode == ExitCode.EXPECTED, local.stdout + local.stderr
    assert rows(there) == rows(here)
    again = command.fab(*sweep(experiment, inventory, there, "--repeat", 2))
    assert again.stdout.startswith("8 runs exist already, 0 are missing\n")
    assert rows(there) == rows(here)


@pytest.mark.slow
@pytest.mark.timeout(
    300
)  # each part of a cluster takes a second to start, or five on a busy machine
def test_what_goes_wrong_on_a_worker_is_said_here(
    experiment: Path, inventory: Path, tmp_path: Path
) -> None:
    (experiment / "count.sh").write_text("no interpreter\n")
    with cluster(tmp_path, 1) as (address, _):
        flags = sweep(experiment, inventory, tmp_path / "runs", "--repeat", 1)
        done = command.fab(*flags, "--scheduler", address)
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    assert done.stdout.count("its first line names no interpreter") == 4


@pytest.mark.slow
@pytest.mark.timeout(
    300
)  # each part of a cluster takes a second to start, or five on a busy machine
def test_a_scheduler_without_workers(experiment: Path, inventory: Path, tmp_path: Path) -> None:
    with cluster(tmp_path, 0) as (address, _):
        flags = sweep(experiment, inventory, tmp_path / "runs")
        done = command.fab(*flags, "--scheduler", address)
    assert done.returncode == ExitCode.MISTAKE
    assert "this scheduler has no workers" in done.stderr


@pytest.mark.parametrize(
    "address", ["", "localhost:8786", "tcp://x", "tcp://x:y", "tls://x:1", "tcp://x:1/y", "-x"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(LabError, match="invalid --scheduler"):
        sweep_dask.require_scheduler(address)


def test_without_dask_one_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(LabError, match="-m pip install distributed"):
        sweep_dask.require_scheduler("tcp://localhost:8786")


def test_dask_is_not_imported_without_the_flag() -> None:
    probe = "import sys, pushpull.cli.sweep, pushpull.cli.sweep_dask; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=command.PROJECT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert not {"distributed", "dask", "polars"} & set(done.stdout.split())


def test_runs_that_arrive_with_one_name_are_all_kept(tmp_path: Path) -> None:
    arrived = [made_runs.with_a_loss(tmp_path / str(k)) for k in range(3)]
    name = arrived[0].name
    renamed = [run.rename(run.with_name(name)) for run in arrived]
    module = tmp_path / "experiment.py"
    places = [adopt(run, tmp_path, module=str(module)) for run in renamed]
    assert [place.name for place in places] == [name, f"{name}-2", f"{name}-3"]
    assert {store.load(place).description["module"] for place in places} == {str(module)}
