"""`fab sweep`: its runs share a shared lab, end with the sweep, and report their outcome."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import FAB, PROJECT, fab
from leftovers import Family, adopt_orphans, command_of

from lab.cli import sweep
from lab.core.errors import ExitCode
from lab.machines import lab_folder
from lab.machines.inventory import load
from lab.runs import store

LIMIT_S = 30
MODULE = '''"""Two ways to print a line."""

from lab.api import Verdict, claim, experiment


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


def test_labs_in_parallel(tiny: Path, inventory: Path) -> None:
    done = fab(*_flags(tiny, inventory, 2, 3))
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert done.stdout.count(": as expected") == 4
    assert "4 of 4" in done.stdout
    assert _states(inventory.parent / "runs") == ["finished"] * 4


def test_on_a_lab_that_is_up_one_after_another(tiny: Path, inventory: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    assert fab("up", *flags).returncode == ExitCode.EXPECTED
    try:
        done = fab(*_flags(tiny, inventory, 2, 3))
    finally:
        assert fab("down", *flags).stdout == "the lab is down\n"
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert done.stdout.count(": as expected") == 4
    assert "one after another" in done.stderr


def test_a_mistake_is_reported_with_its_cause(tiny: Path, inventory: Path) -> None:
    (tiny / "hello.sh").write_text("no interpreter\n")
    done = fab(*_flags(tiny, inventory, 1, 1))
    assert done.returncode == ExitCode.MISTAKE
    assert done.stdout.count("exit code 2") == 2
    assert done.stdout.count("its first line names no interpreter") == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
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
    (part,) = [pid for pid in family.alive() if "lab.cli.sweep_part" in command_of(pid)]
    os.kill(part, signal.SIGKILL)
    said = sweeping.communicate()[0]
    assert "exit code 4, its process was ended by SIGKILL" in said
    assert "2 of 2: two: as expected" in said
    assert sweeping.returncode == ExitCode.INTERRUPTED


def test_a_bug_is_not_a_success() -> None:
    done = subprocess.CompletedProcess(
        [], 1, stdout="", stderr="Traceback\n  KeyError: \x1b[31m'x'"
    )
    part = sweep._part("one", done)
    assert part.code == ExitCode.BUG
    assert "KeyError" in part.said
    assert "\x1b" not in part.said
