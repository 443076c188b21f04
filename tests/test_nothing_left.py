"""However a run ends, nothing is left behind on this computer, and captured output is kept."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import FAB, PROJECT, only_run, read_until
from leftovers import Family, adopt_orphans, command_of
from quick import rest_slow

from pushpull.core.errors import ExitCode
from pushpull.runs import store

MOMENTS = 20  # for each way to end a run, together with the quick tests
PROVIDERS = ("namespaces", pytest.param("loopback", marks=pytest.mark.slow))


def limit_s() -> float:
    """Return two seconds, or more where the computer is busy with something else right now."""
    return 2 * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))


class Run:
    """A run that goes on, and the family of its processes."""

    def __init__(self, fab: "subprocess.Popen[str]", root: Path) -> None:
        self.fab = fab
        self.root = root
        self.temporary = root.parent / "temporary"
        self.family = Family(fab.pid)

    def reaches(self, line: int) -> None:
        """Wait until so many lines were shown, and note what there is."""
        assert self.fab.stdout is not None
        for _ in range(line):
            assert self.fab.stdout.readline()
        self.family.look()

    def has(self, processes: int) -> None:
        """Wait until so many processes of a lab are there."""
        while len(self._lab()) < processes:
            assert self.fab.poll() is None

    def supervisor(self) -> int:
        """Return the pid of the process that owns the lab."""
        return self._lab()[0]

    def _lab(self) -> list[int]:
        return [
            p
            for p in self.family.alive()
            if "pushpull.machines.providers.embedded.supervisor" in command_of(p)
        ]

    def leaves_nothing(self) -> None:
        """Check that all has ended in time, and that nothing of it is left."""
        gone = self.family.gone_within(limit_s())
        assert self.family.leftovers() == []
        assert gone
        assert list(self.temporary.glob("push-pull-lab-*")) == []
        self.fab.wait()

    def stored(self) -> store.StoredRun:
        """Return what is on the disk; each log file must be what the records say."""
        stored = store.load(only_run(self.root))
        for record in stored.records:
            suffix = {"stdout": "log", "stderr": "err"}[record.stream]
            log = stored.path / record.machine / f"{record.process}.{suffix}"
            line = log.read_bytes()[record.offset :][: record.length]
            assert line.decode() == record.text
        return stored


@pytest.fixture
def start(tmp_path: Path) -> Iterator:
    """Starts a run with a terminal's worth of output ahead; ends it should a test fail."""
    adopt_orphans()
    inventory = shutil.copy(PROJECT / "inventory.yaml", tmp_path)
    (tmp_path / "temporary").mkdir()
    with contextlib.ExitStack() as stack:

        def begin(
            provider: str,
            experiment: str = "kill_worker",
            interval: str = "0.05",
            # On a busy computer too, the moments of the tests are in the midst of so many.
            count: str = "1000",
        ) -> Run:
            flags = (
                "--provider",
                provider,
                "--inventory",
                inventory,
                "--interval",
                interval,
                "--count",
                count,
            )
            root = tmp_path / "runs"
            fab = subprocess.Popen(
                [*FAB, "run-experiment", "--experiment", experiment, *flags, "--runs", str(root)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
                env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
            )
            stack.callback(_end, fab)
            return Run(fab, root)

        yield begin


def _end(fab: "subprocess.Popen[str]") -> None:
    fab.kill()
    fab.wait()
    assert fab.stdout is not None
    fab.stdout.close()


def moments(ways: int) -> list[int]:
    """Return random lines of a run's output, the same at each call of the suite."""
    return random.Random(20).sample(range(1, 40), ways)


# --- Killed. --------------------------------------------------------------------------------------


def kill_fab(run: Run) -> None:
    run.fab.kill()
    run.leaves_nothing()
    stored = run.stored()
    assert stored.state == "died"
    assert stored.verdicts is None


def kill_supervisor(run: Run) -> None:
    os.kill(run.supervisor(), signal.SIGKILL)
    run.leaves_nothing()
    stored = run.stored()
    assert not (stored.path / "traceback.txt").exists(), (stored.path / "traceback.txt").read_text()
    assert run.fab.returncode == ExitCode.MISTAKE
    assert stored.state == "interrupted"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fab_is_killed(start, provider: str) -> None:
    run = start(provider)
    run.reaches(12)
    kill_fab(run)
    assert any(record.stream == "stdout" for record in run.stored().records)


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_supervisor_is_killed(start, provider: str) -> None:
    run = start(provider)
    run.reaches(12)
    kill_supervisor(run)
    assert any(record.stream == "stdout" for record in run.stored().records)


@pytest.mark.slow
@pytest.mark.parametrize("line", moments(MOMENTS - 2))
def test_fab_is_killed_at_any_moment(start, line: int) -> None:
    run = start("namespaces", "return_worker", "0.02")
    run.reaches(line)
    kill_fab(run)


@pytest.mark.slow
@pytest.mark.parametrize("line", moments(MOMENTS - 2))
def test_the_supervisor_is_killed_at_any_moment(start, line: int) -> None:
    run = start("namespaces", "return_worker", "0.02")
    run.reaches(line)
    kill_supervisor(run)


# The supervisor alone, with its first process, with some machines, with all of them.
@pytest.mark.parametrize("processes", rest_slow([1, 2, 3, 5]))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_fab_is_killed_while_the_lab_comes_up(start, provider: str, processes: int) -> None:
    run = start(provider)
    run.has(processes)
    run.family.look()
    run.fab.kill()
    run.leaves_nothing()


@pytest.mark.parametrize("processes", rest_slow([1, 2, 3]))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_supervisor_is_killed_while_the_lab_comes_up(
    start, provider: str, processes: int
) -> None:
    run = start(provider)
    run.has(processes)
    os.kill(run.supervisor(), signal.SIGKILL)
    run.leaves_nothing()
    assert run.fab.stdout is not None
    said = run.fab.stdout.read()
    assert "Traceback" not in said
    assert run.fab.returncode == ExitCode.MISTAKE, said


# --- Asked to end. --------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("number", rest_slow([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
def test_a_signal_ends_a_run_and_keeps_its_output(start, number: int, provider: str) -> None:
    run = start(provider)
    run.reaches(12)
    run.fab.send_signal(number)
    said = run.fab.communicate()[0]
    assert run.fab.returncode == ExitCode.INTERRUPTED, said
    run.leaves_nothing()
    stored = run.stored()
    assert stored.state == "interrupted"
    assert stored.verdicts
    assert all(verdict["partial"] for verdict in stored.verdicts)
    assert any(record.stream == "stdout" for record in stored.records)
    assert "interrupted" in said
    assert str(stored.path) in said


@pytest.mark.slow
def test_ctrl_c_again_and_again(start) -> None:
    run = start("namespaces")
    run.reaches(12)
    for _ in range(5):
        run.fab.send_signal(signal.SIGINT)
    said = run.fab.communicate()[0]
    assert run.fab.returncode == ExitCode.INTERRUPTED, said
    run.leaves_nothing()
    assert run.stored().state == "interrupted"


def test_ctrl_c_ends_the_experiments_that_would_follow(tmp_path: Path, start) -> None:
    run = start("namespaces", "round_robin")
    read_until(run.fab, "push   | 5")
    run.fab.send_signal(signal.SIGINT)
    said = run.fab.communicate()[0]
    assert run.fab.returncode == ExitCode.INTERRUPTED, said
    assert "Traceback" not in said


def test_a_run_that_ends_by_itself(start) -> None:
    run = start("namespaces", count="30")
    run.reaches(12)
    run.fab.communicate()
    assert run.fab.returncode == ExitCode.EXPECTED
    run.leaves_nothing()
    assert run.stored().state == "finished"
