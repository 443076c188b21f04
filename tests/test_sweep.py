"""`fab sweep`: its runs share what is shared, end with it, and say what became of them."""

import contextlib
import csv
import fcntl
import os
import random
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import FAB, PROJECT, fab, runs_in_order
from leftovers import Family, adopt_orphans, command_of
from quick import rest_slow

from pushpull.analysis.campaign import Cell, cells, is_done, plan
from pushpull.cli import sweep_pool
from pushpull.cli.call import quick_call
from pushpull.cli.capacity import Capacity
from pushpull.cli.sweep_pool import Pool
from pushpull.core.errors import ExitCode, LabError
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

LIMIT_S = 30
MODULE = '''"""Two ways to print a line."""

from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", variants=["one", "two"], takes=60)
def tiny(lab):
    lab.start("hello", on="pusher").wait()


@claim("It prints a line.")
def prints(run):
    return Verdict.holds("yes")
'''


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An experiment with two variants, whose program waits while there is a file `wait`."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "experiment.py").write_text(MODULE)
    (folder / "hello.sh").write_text("#!/bin/sh\necho hello\n[ ! -e wait ] || sleep 60\n")
    return folder


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    path = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path))
    yield path
    shutil.rmtree(lab_folder.folder("namespaces", load(path)), ignore_errors=True)


def _flags(tiny: Path, inventory: Path, repeat: int, at_once: int) -> tuple[object, ...]:
    return (
        *("sweep", "--experiment", tiny, "--provider", "namespaces", "--inventory", inventory),
        *("--repeat", repeat, "--at-once", at_once, "--runs", inventory.parent / "runs"),
    )


def _states(root: Path) -> list[str]:
    return [store.load(path).state for path in root.glob("*Z-*")]


@pytest.mark.slow
def test_side_by_side(tiny: Path, inventory: Path) -> None:
    done = fab(*_flags(tiny, inventory, 2, 3))
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert done.stdout.count(": as expected") == 4
    assert "4 of 4" in done.stdout
    assert _states(inventory.parent / "runs") == ["finished"] * 4


@pytest.mark.slow
def test_on_a_shared_lab_one_after_another(tiny: Path, inventory: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    assert fab("up", *flags).returncode == ExitCode.EXPECTED
    try:
        done = fab(*_flags(tiny, inventory, 2, 3))
    finally:
        assert fab("down", *flags).stdout == "the lab is down\n"
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert done.stdout.count(": as expected") == 4
    assert "one after another" in done.stderr


@pytest.mark.slow
def test_a_mistake_is_told_by_its_cause(tiny: Path, inventory: Path) -> None:
    (tiny / "hello.sh").write_text("no interpreter\n")
    done = fab(*_flags(tiny, inventory, 1, 1))
    assert done.returncode == ExitCode.MISTAKE
    assert done.stdout.count("exit code 2") == 2
    assert done.stdout.count("its first line names no interpreter") == 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_a_sweep_that_ends_leaves_nothing_running(tiny: Path, inventory: Path, number: int) -> None:
    adopt_orphans()
    (tiny / "wait").touch()
    family = Family(os.getpid())
    command = [*FAB, *map(str, _flags(tiny, inventory, 3, 2))]
    sweeping = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    while sum(command_of(pid).startswith("sleep") for pid in family.alive()) < 2:
        assert sweeping.poll() is None, sweeping.communicate()[0]
    family.look()
    sweeping.send_signal(number)
    said = sweeping.communicate()[0]
    assert family.gone_within(LIMIT_S)
    assert family.leftovers() == []
    assert _states(inventory.parent / "runs") == ["interrupted"] * 2
    if number == signal.SIGKILL:
        assert sweeping.returncode == -signal.SIGKILL
    else:
        assert sweeping.returncode == ExitCode.INTERRUPTED, said
        assert "of 6 runs" in said


@pytest.mark.slow
def test_a_run_that_is_killed_ends_no_sweep(tiny: Path, inventory: Path) -> None:
    (tiny / "wait").touch()
    family = Family(os.getpid())
    sweeping = subprocess.Popen(
        [*FAB, *map(str, _flags(tiny, inventory, 1, 1))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not any(command_of(pid).startswith("sleep") for pid in family.alive()):
        assert sweeping.poll() is None, sweeping.communicate()[0]
    (tiny / "wait").unlink()
    # The nursery, and the worker that it forked: parents come first, while process ids start again.
    _, worker = (p for p in family.alive() if "pushpull.cli.sweep_nursery" in command_of(p))
    os.kill(worker, signal.SIGKILL)
    said = sweeping.communicate()[0]
    assert "exit code 4, its process was killed" in said
    assert "2 of 2: two: as expected" in said
    assert sweeping.returncode == ExitCode.INTERRUPTED


@pytest.mark.slow
def test_each_combination_has_a_row(tiny: Path, inventory: Path) -> None:
    flags = ("--vary", "interval=0.01,0.02", "--vary", "SNDHWM=1,9")
    done = fab(*_flags(tiny, inventory, 1, 3), *flags)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    cells = [
        f"{v} interval={i} SNDHWM={s}" for v in ("one", "two") for i in (0.01, 0.02) for s in (1, 9)
    ]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in done.stdout.splitlines()]
    assert [row for row in rows if row in cells] == cells
    claims, table = sorted((inventory.parent / "runs").glob("sweep-*.csv"))
    judged = {row["claim"] for row in csv.DictReader(claims.open())}
    assert judged == {"tiny:one.prints", "tiny:two.prints"}
    assert table.with_suffix(".html").exists()
    read = list(csv.DictReader(table.open()))
    assert {(row["variant"], row["interval"], row["SNDHWM"]) for row in read} == {
        tuple(part.partition("=")[2] or part for part in cell.split()) for cell in cells
    }
    assert {row["prints"] for row in read} == {"holds"}
    runs = [store.load(path) for path in (inventory.parent / "runs").glob("*Z-*")]
    assert {run.description["parameters"]["interval"] for run in runs} == {0.01, 0.02}


@pytest.mark.slow
def test_a_complete_sweep_runs_nothing_more(tiny: Path, inventory: Path) -> None:
    flags = _flags(tiny, inventory, 1, 2)
    first, second = fab(*flags), fab(*flags)
    assert second.stdout.startswith("2 runs exist already, 0 are missing\n")
    assert first.stdout.partition("\n| variant")[2] == second.stdout.partition("\n| variant")[2]
    assert _states(inventory.parent / "runs") == ["finished"] * 2
    (tiny / "hello.sh").write_text("#!/bin/sh\necho hello again\n")  # changes the judged code
    assert "2 of 2" in fab(*flags).stdout
    assert _states(inventory.parent / "runs") == ["finished"] * 4


@pytest.mark.slow
def test_a_sweep_that_is_killed_repeatedly_is_complete_in_the_end(
    tiny: Path, inventory: Path
) -> None:
    adopt_orphans()
    family = Family(os.getpid())
    moments = random.Random(7)
    command = [*FAB, *map(str, _flags(tiny, inventory, 6, 2))]
    kills, done = 0, False
    while not done:
        before = len(counted(inventory.parent / "runs"))
        sweeping = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not done and len(counted(inventory.parent / "runs")) < before + 2:
            with contextlib.suppress(subprocess.TimeoutExpired):
                sweeping.wait(0.05)
                done = True
        with contextlib.suppress(subprocess.TimeoutExpired):
            sweeping.wait(moments.uniform(0, 0.3))
            done = True
        family.look()
        sweeping.kill()
        kills += not done
        sweeping.wait()
        assert family.gone_within(LIMIT_S)
    assert sweeping.returncode == ExitCode.EXPECTED
    assert kills > 0
    assert Counter(counted(inventory.parent / "runs")) == {"one": 6, "two": 6}


def counted(root: Path) -> list[str]:
    """Return the cells of the runs that count; a run killed at its very start is unreadable."""
    cells = []
    for path in root.glob("*Z-*"):
        with contextlib.suppress(LabError):
            if is_done(run := store.load(path)):
                cells.append(run.description["sweep"]["cell"])
    return cells


@pytest.mark.slow
def test_numbers_of_machines_vary(tiny: Path, inventory: Path) -> None:
    module = MODULE.replace('["one", "two"]', '[""]').replace('on="pusher"', 'on="puller"')
    (tiny / "experiment.py").write_text(module)
    done = fab(*_flags(tiny, inventory, 1, 1), "--vary", "pullers=1,3")
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    runs = runs_in_order(inventory.parent / "runs")
    assert [list(run.description["inventory"]) for run in runs] == [
        ["push", "pull-1"],
        ["push", "pull-1", "pull-2", "pull-3"],
    ]
    assert "inventory-3-puller-" in runs[1].description["command"]  # which exists
    assert len(list((inventory.parent / "runs").glob("inventory-*.yaml"))) == 2


def test_numbers_of_machines_that_are_given(tiny: Path, inventory: Path) -> None:
    flags = ("sweep", "--experiment", tiny, "--provider", "ssh", "--inventory", inventory)
    done = fab(*flags, "--vary", "pullers=1,3", "--runs", inventory.parent / "runs")
    assert done.returncode == ExitCode.MISTAKE
    assert "--vary pullers needs machines that are made for each run" in done.stderr


def test_two_sweeps_in_one_folder_are_refused(tiny: Path, inventory: Path) -> None:
    runs = inventory.parent / "runs"
    runs.mkdir()
    folder = os.open(runs, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        done = fab(*_flags(tiny, inventory, 1, 1))
    finally:
        os.close(folder)
    assert done.returncode == ExitCode.MISTAKE
    assert "another sweep, or a repeated experiment, is using this folder" in done.stderr


@pytest.mark.parametrize(
    "vary",
    rest_slow(
        [
            "interval",
            "interval=",
            "interval=fast",
            "colour=red",
            "count=0",
            "SNDHWM=many",
            "=1",
            "pullers=0",
            "pushers=x",
        ]
    ),
)
def test_invalid_settings_to_vary(tiny: Path, inventory: Path, vary: str) -> None:
    done = fab(*_flags(tiny, inventory, 1, 1), "--vary", vary)
    assert done.returncode == ExitCode.MISTAKE
    assert "--vary" in done.stderr.partition("\n")[0]
    assert not (inventory.parent / "runs").exists()


def test_missing_runs_are_made_in_turn() -> None:
    every = cells(["a", "b"], {})
    assert [str(cell) for cell in plan(every, 2, [])] == ["a", "b", "a", "b"]
    done: Any = [SimpleNamespace(description={"sweep": {"cell": "a"}})]
    assert [str(cell) for cell in plan(every, 2, done)] == ["b", "a", "b"]
    assert [str(cell) for cell in plan(every, 1, done * 3)] == ["b"]
    assert str(cells([""], {})[0]) == "as it is"


def test_a_failing_worker_is_not_a_success(tmp_path: Path) -> None:
    call = replace(quick_call("namespaces", "", tmp_path), experiment="round_robin")
    pool = Pool(replace(call, inventory="none"), Capacity.fixed(1))  # type: ignore[arg-type]
    with contextlib.closing(pool.results([(0, Cell(""))])) as results:
        (done,) = results
    assert done.answer.code == ExitCode.BUG
    assert "AttributeError" in done.answer.said
    assert "\x1b" not in sweep_pool.last_words("Traceback\n  KeyError: \x1b[31m'x'")
