"""The inventory alone configures VMs, the embedded lab and a user's own hosts, all alike."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run
from hosts import hosts
from vm.stand_in import addresses, evaluated

from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
CHANGED = {
    "push": "10.77.0.9",
    "pull-1": "10.77.0.20",
    "pull-2": "10.77.0.7",
    "pull-3": "10.77.0.8",
}


@pytest.fixture(params=[ARTICLE, CHANGED], ids=["the article's", "others and a fourth"])
def machines(request: pytest.FixtureRequest) -> Mapping[str, str]:
    found: Mapping[str, str] = request.param
    return found


@pytest.fixture
def inventory(machines: Mapping[str, str], sshd_program: Path, tmp_path: Path) -> Iterator[Path]:
    """One inventory for all providers, with hosts that have these addresses."""
    with hosts(tmp_path / "hosts", sshd_program, machines) as up:
        network = machines["push"].rpartition(".")[0] + ".0/24"
        file = up.inventory(network)
        yield file
        shutil.rmtree(lab_folder.folder("ssh", load(file)), ignore_errors=True)


@pytest.mark.slow
def test_vms(inventory: Path, machines: Mapping[str, str]) -> None:
    shutil.copy(PROJECT / "Vagrantfile", inventory.parent)
    assert addresses(evaluated(inventory.parent / "Vagrantfile")) == machines


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["namespaces", "ssh"])
def test_machines_that_run(
    inventory: Path, machines: Mapping[str, str], provider: str, tmp_path: Path
) -> None:
    where = ("--provider", provider, "--inventory", inventory)
    checked = fab("check", *where)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    # Each listens at its address, and is connected to there by each other.
    assert checked.stdout.count(f"reaches {len(machines) - 1} others") == len(machines)
    flags = ("--experiment", "round_robin", "--interval", 0.05, "--runs", tmp_path / "runs")
    done = fab("run-experiment", *where, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    run = store.load(only_run(tmp_path / "runs"))
    told = {name: there["address"] for name, there in run.description["inventory"].items()}
    assert told == machines
    printed = {record.machine for record in run.records if record.stream == "stdout"}
    assert printed == set(machines)
