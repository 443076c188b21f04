"""Where the kernel refuses new namespaces: plain processes, or the cause and its fix."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run

from pushpull.core.errors import ExitCode
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

QUICK = ("--experiment", "round_robin", "--interval", 0.01)


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """An inventory of the test's own, so that no other's lab is up for it."""
    path = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path))
    yield path
    for provider in ("namespaces", "loopback"):
        shutil.rmtree(lab_folder.folder(provider, load(path)), ignore_errors=True)


@pytest.fixture
def forbidden() -> list[str]:
    """A command under which the kernel refuses new namespaces, as a hardened one does."""
    script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", script, "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("namespaces are forbidden here already, and in another way")
    return command


@pytest.mark.slow
def test_auto_goes_on_with_loopback(forbidden: list[str], inventory: Path, tmp_path: Path) -> None:
    flags = ("--inventory", inventory, "--runs", tmp_path / "runs")
    done = fab("run-experiment", *QUICK, *flags, within=forbidden)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("the kernel refuses namespaces")
    assert "plain processes" in line
    stored = store.load(only_run(tmp_path / "runs"))
    assert stored.description["provider"] == "loopback"
    assert all(m["address"].startswith("127.") for m in stored.description["inventory"].values())


@pytest.mark.slow
def test_namespaces_by_name_give_cause_and_hint(
    forbidden: list[str], inventory: Path, tmp_path: Path
) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    for task in (("run-experiment", *QUICK, "--runs", tmp_path / "runs"), ("up",), ("check",)):
        done = fab(*task, *flags, within=forbidden)
        assert done.returncode == ExitCode.MISTAKE
        assert "user.max_user_namespaces is 0" in done.stdout + done.stderr
        assert "sudo sysctl -w user.max_user_namespaces=15000" in done.stdout + done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_auto_by_hand_where_namespaces_are_forbidden(forbidden: list[str], inventory: Path) -> None:
    flags = ("--inventory", inventory)
    assert fab("up", *flags, within=forbidden).stdout.count("running") == 3
    assert fab("status", *flags, within=forbidden).stdout.count("running") == 3
    assert fab("down", *flags, within=forbidden).stdout == "the lab is down\n"
