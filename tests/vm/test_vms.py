"""Real VMs: `vagrant up` of the project's own Vagrantfile, and the same experiments on them.

The tests build on each other, in the order of this file: three VMs are brought up once.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vm import needs, virtual
from vm.virtual import VmLab

pytestmark = [
    pytest.mark.vm,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(1500),
]

MACHINES = {
    "push": "192.168.0.161",
    "pull-1": "192.168.0.162",
    "pull-2": "192.168.0.163",
}
LOST_WITHIN_S = 90  # from the death of a machine to the end of a run of 20 messages, 1 s apart


@pytest.fixture(scope="module")
def lab() -> Iterator[VmLab]:
    """The VMs, up; the host's own addresses and routes are the same before and after."""
    needs.need(*virtual.TOOLS, root=True)
    before = _network()
    with tempfile.TemporaryDirectory(prefix="vmlab-") as folder:
        with virtual.vm_lab(Path(folder)) as made:
            assert _network() == before
            made.vagrant("up")
            assert _network() == before
            yield made
        assert _network() == before


@pytest.fixture(autouse=True)
def _steps_shown(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Print the time of each step, whatever becomes of the test."""
    yield
    with capsys.disabled():
        print("", *virtual.steps, sep="\n")
    virtual.steps.clear()


def _network() -> str:
    """What the host's own namespace has of addresses and routes."""
    commands = (["ip", "-brief", "address"], ["ip", "route"])
    return "".join(subprocess.check_output(command, text=True) for command in commands)


def _description(run: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((run / "run.json").read_text())
    return description


def test_each_machine_reaches_each_other_on_the_lab_wire(lab: VmLab) -> None:
    for machine in MACHINES:
        others = [address for name, address in MACHINES.items() if name != machine]
        pings = " && ".join(f"ping -c 1 -W 5 {address}" for address in others)
        lab.vagrant("ssh", machine, "-c", f"hostname && {pings}")


def test_the_hypervisors_own_network_has_no_lab_address(lab: VmLab) -> None:
    assert "192.168.0." not in lab.run("ip", "-brief", "address").stdout
    assert "192.168.0." not in lab.run("ip", "route").stdout


def test_provisioning_again_changes_nothing(lab: VmLab) -> None:
    told = lab.vagrant("provision", "push")
    assert "provision: ready" in told
    assert "making" not in told


def test_the_articles_experiments_come_out_as_expected(lab: VmLab) -> None:
    """`auto` takes the VMs, as they are up."""
    run = lab.run_experiment(provider="auto")
    described = _description(run)
    assert described["provider"] == "vagrant"
    assert set(described["clocks"]) == set(MACHINES)
    assert all(clock["uncertainty_s"] > 0 for clock in described["clocks"].values())


def test_the_embedded_lab_gives_the_same_verdicts(lab: VmLab) -> None:
    on_vms = lab.run_experiment("--experiment", "kill_worker")
    embedded = lab.run_experiment("--experiment", "kill_worker", provider="namespaces")
    done = lab.fab("compare", "--runs", lab.runs, "--run", embedded, "--against", on_vms)
    assert done.returncode == 0, done.stdout


def test_a_wrong_clock_is_recorded_and_changes_no_verdict(lab: VmLab) -> None:
    lab.vagrant("ssh", "pull-1", "-c", "sudo timedatectl set-ntp false; sudo date -s '+5 seconds'")
    run = lab.run_experiment("--experiment", "kill_worker")
    clocks = _description(run)["clocks"]
    assert 4 < clocks["pull-1"]["offset_s"] - clocks["pull-2"]["offset_s"] < 6


def test_refuses_to_run_outside_the_vms_network(lab: VmLab) -> None:
    done = lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs, inside=False)
    assert done.returncode == 2
    assert "is on no network of this computer" in done.stderr


def test_power_is_cut_and_comes_back(lab: VmLab) -> None:
    switch = """
from pathlib import Path
from lab.inventory import load
from lab.providers.vagrant import Vms
vms = Vms(load(Path("inventory.yaml")))
with vms.lab(keep=False):
    vms.power_off("pull-2")
    print(vms.status()["pull-2"])
    vms.power_on("pull-2")
"""
    done = lab.run(virtual.fab_command()[0], "-P", "-c", switch)
    assert (done.returncode, done.stdout) == (0, "shutoff\n"), done.stderr
    lab.run_experiment("--experiment", "kill_worker")


def test_a_run_outlives_a_machine_that_dies(lab: VmLab) -> None:
    """Its QEMU is killed: nobody says goodbye. What was captured is kept, and the run ends."""
    qemu = lab.qemu("pull-2")
    command = ["run-experiment", "--experiment", "round_robin", "--provider", "vagrant"]
    with lab.started(*virtual.fab_command(*command, "--interval", 1, "--runs", lab.runs)) as run:
        assert run.stdout
        said = list(_until(run, "pull-2 | "))
        lab.run("kill", "-9", qemu)
        died = time.monotonic()
        too_late = threading.Timer(LOST_WITHIN_S, os.killpg, (run.pid, signal.SIGKILL))
        too_late.start()
        said += run.stdout.readlines()
        too_late.cancel()
    virtual.step("from the machine's death to the end of the run", since=died)
    assert run.returncode > 0, "".join(said)
    captured = (lab.runs / "latest").resolve()
    assert _description(captured)["state"] in ("finished", "interrupted")
    assert (captured / "pull-2/pull.log").stat().st_size > 0
    left = lab.vagrant("ssh", "pull-1", "-c", "pgrep -fc [l]auncher.py || true")
    assert left.strip().splitlines()[-1] == "0"


def _until(process: "subprocess.Popen[str]", word: str) -> Iterator[str]:
    assert process.stdout
    for line in process.stdout:
        yield line
        if word in line:
            return


def test_runs_again_after_halt_and_up(lab: VmLab) -> None:
    lab.vagrant("halt")
    done = lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs)
    assert done.returncode == 2
    assert "not all VMs are running" in done.stderr
    lab.vagrant("up")
    lab.run_experiment("--experiment", "kill_worker")


def test_a_machine_made_anew_is_no_trap(lab: VmLab) -> None:
    lab.vagrant("destroy", "-f", "pull-1")
    assert lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs).returncode == 2
    lab.vagrant("up", "pull-1")
    lab.run_experiment("--experiment", "kill_worker")


def test_destroy_leaves_no_machine(lab: VmLab) -> None:
    lab.vagrant("destroy", "-f")
    assert not list(lab.project.glob(".vagrant/machines/*/*/id"))
    assert "lab-" not in lab.run("virsh", "-c", "qemu:///system", "list", "--all").stdout
