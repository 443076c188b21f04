"""Labs and limits: open files (ulimit -n), and the width of a network."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command import FAB, fab, only_run, verdicts
from quick import rest_slow

from pushpull.core.errors import ExitCode

QUICK = ("--experiment", "round_robin", "--interval", "0.01", "--count", "5")


@pytest.fixture(params=rest_slow(["namespaces", "loopback"]))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _inventory(folder: Path, pullers: int, network: str = "10.0.0.0/16") -> Path:
    path = folder / "inventory.yaml"
    path.write_text(
        f"network: {network}\nmachines:\n"
        "  push: {role: pusher, address: 10.0.0.1}\n"
        f"  pull: {{role: puller, address: 10.0.1.1, count: {pullers}}}\n"
    )
    return path


def _run(folder: Path, soft: int, hard: int, *flags: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*FAB, "run-experiment", *QUICK, *map(str, flags), "--runs", str(folder / "runs")],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )


@pytest.mark.slow
def test_the_soft_limit_is_raised(tmp_path: Path, provider: str) -> None:
    inventory = _inventory(tmp_path, 30)
    done = _run(tmp_path, 64, 4096, "--provider", provider, "--inventory", inventory)
    assert done.returncode in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED), done.stdout + done.stderr
    assert verdicts(only_run(tmp_path / "runs"))


@pytest.mark.parametrize("hard", rest_slow([20, 30, 60, 100, 183]))
def test_a_hard_limit_that_is_too_low_is_named(tmp_path: Path, provider: str, hard: int) -> None:
    inventory = _inventory(tmp_path, 31)
    done = _run(tmp_path, hard, hard, "--provider", provider, "--inventory", inventory)
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    assert f"too many open files: the limit is {hard} (`ulimit -Hn`)" in done.stderr
    assert "ulimit -n 16384" in done.stderr
    for wrong in ("namespaces (", "bug in the lab", "correct the experiment", "Traceback"):
        assert wrong not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("ours", "theirs"), rest_slow([((64, 4096), 1024), ((2000, 4096), 2000), ((64, 512), 512)])
)
def test_programs_get_the_users_own_limit_back(
    tmp_path: Path, provider: str, ours: tuple[int, int], theirs: int
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 100_000:
        theirs = min(theirs, before[1])
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int,"
        " sys.argv[3:])));"
        "from pathlib import Path; from pushpull.machines.inventory import load\n"
        "from pushpull.machines.pool import connected\n"
        "from pushpull.machines.providers import loopback, namespaces\n"
        "chosen = {'loopback': loopback, 'namespaces': namespaces}[sys.argv[1]]\n"
        "with chosen.PROVIDER(load(Path(sys.argv[2]))).lab(keep=False) as machines:\n"
        "    with connected(machines) as remotes:\n"
        "        print(remotes['push'].run(['sh', '-c', 'ulimit -Sn']).decode())\n"
    )
    arguments = [provider, str(_inventory(tmp_path, 2)), *map(str, ours)]
    said = subprocess.check_output([sys.executable, "-c", script, *arguments], text=True)
    assert int(said) == theirs


@pytest.mark.slow
@pytest.mark.alone
def test_350_machines_under_the_usual_soft_limit(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 4096:
        pytest.skip("the hard limit is lower than the usual one")
    inventory = _inventory(tmp_path, 349)
    done = _run(tmp_path, 1024, 4096, "--provider", "namespaces", "--inventory", inventory)
    assert done.returncode in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED), done.stdout + done.stderr
    assert verdicts(only_run(tmp_path / "runs"))


@pytest.mark.slow
def test_a_network_that_loopback_has_no_room_for(tmp_path: Path) -> None:
    inventory = _inventory(tmp_path, 2, network="10.0.0.0/8")
    flags = ("--inventory", inventory)
    done = fab("run-experiment", *QUICK, *flags, "--runs", tmp_path / "runs")
    assert "/16" not in done.stderr
    assert done.returncode in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED), done.stdout + done.stderr
    for task in ("status", "down"):
        assert fab(task, *flags).returncode == ExitCode.EXPECTED
    done = fab("run-experiment", *QUICK, *flags, "--provider", "loopback")
    assert done.returncode == ExitCode.MISTAKE
    assert "room for a /16 network, not for 10.0.0.0/8" in done.stderr
