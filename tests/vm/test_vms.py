"""Real VMs: `vagrant up` of the project's own Vagrantfile, and the same experiments on them.

The tests build on each other, in the order of this file: three VMs are brought up once.
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import read_until, verdicts
from vm import needs, virtual
from vm.virtual import VmLab

from pushpull.core.errors import ExitCode
from pushpull.runs import store

pytestmark = [
    pytest.mark.vm,
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(900),
]

MACHINES = {
    "push": "192.168.0.161",
    "pull-1": "192.168.0.162",
    "pull-2": "192.168.0.163",
}
LOST_WITHIN_S = 90  # from the death of a machine to the end of a run of 20 messages, 1 s apart
QUICKER = ("--interval", 0.5)


@pytest.fixture(scope="module")
def steps_shown(pytestconfig: pytest.Config) -> Iterator[None]:
    """Print at the end how long each step took, whatever the tests' results."""
    yield
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")
    assert capture
    with capture.global_and_fixture_disabled():
        print("", *virtual.table, sep="\n")


@pytest.fixture(scope="module")
def lab(steps_shown: None) -> Iterator[VmLab]:
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


def _network() -> str:
    """The addresses and routes of the host's own namespace."""
    commands = (["ip", "-brief", "address"], ["ip", "route"])
    return "".join(subprocess.check_output(command, text=True) for command in commands)


def _description(run: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((run / "run.json").read_text())
    return description


def _apart_s(run: Path) -> float:
    """How far the clock of pull-1 was ahead of pull-2's: from the start they are a second apart."""
    clocks = _description(run)["clocks"]
    return float(clocks["pull-1"]["offset_s"] - clocks["pull-2"]["offset_s"])


def test_each_machine_reaches_each_other_on_the_lab_wire(lab: VmLab) -> None:
    for machine in MACHINES:
        others = [address for name, address in MACHINES.items() if name != machine]
        pings = " && ".join(f"ping -c 1 -W 5 {address}" for address in others)
        lab.vagrant("ssh", machine, "-c", f"hostname && {pings}")


def test_each_machine_knows_all_by_name(lab: VmLab) -> None:
    for machine in MACHINES:
        found = lab.vagrant("ssh", machine, "-c", f"getent ahostsv4 {' '.join(MACHINES)}")
        told = {line.split()[0] for line in found.splitlines() if "STREAM" in line}
        assert told == set(MACHINES.values())


def test_the_hypervisors_own_network_has_no_lab_address(lab: VmLab) -> None:
    assert "192.168.0." not in lab.run("ip", "-brief", "address").stdout
    assert "192.168.0." not in lab.run("ip", "route").stdout


def test_provisioning_again_changes_nothing(lab: VmLab) -> None:
    told = lab.vagrant("provision", "push")
    assert "provision: ready" in told
    assert "making" not in told


def test_the_articles_experiments_come_out_as_expected(lab: VmLab) -> None:
    """`auto` chooses the VMs, as they are up."""
    run = lab.run_experiment(provider="auto")
    described = _description(run)
    assert described["provider"] == "vagrant"
    assert set(described["clocks"]) == set(MACHINES)
    assert all(clock["uncertainty_s"] > 0 for clock in described["clocks"].values())


def test_the_embedded_lab_gives_the_same_verdicts(lab: VmLab) -> None:
    on_vms = lab.run_experiment("--experiment", "kill_worker", *QUICKER)
    embedded = lab.run_experiment("--experiment", "kill_worker", *QUICKER, provider="namespaces")
    done = lab.fab("compare", "--runs", lab.runs, "--run", embedded, "--against", on_vms)
    assert done.returncode == 0, done.stdout


def test_check_finds_nothing_wrong(lab: VmLab) -> None:
    done = lab.fab("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("reaches 2 others on the lab network") == len(MACHINES)
    assert len(re.findall(r"clock \S+ ms from ours, ± \S+ ms", done.stdout)) == 3


def test_status_and_a_shell_are_vagrants(lab: VmLab) -> None:
    done = lab.fab("status")
    assert "$ vagrant status" in done.stderr
    assert re.findall(r"(\S+) +running$", done.stdout, re.MULTILINE) == list(MACHINES.values())
    done = lab.fab("ssh", "--machine", "push")  # its input is at its end, so it's a short one
    assert (done.returncode, "$ vagrant ssh push" in done.stderr) == (0, True), done.stderr


def test_a_wrong_clock_is_recorded_and_changes_no_verdict(lab: VmLab) -> None:
    runs = [path for path in lab.runs.glob("2*") if _description(path)["provider"] == "vagrant"]
    before_s = _apart_s(max(runs))
    lab.vagrant("ssh", "pull-1", "-c", "sudo timedatectl set-ntp false; sudo date -s '+5 seconds'")
    run = lab.run_experiment("--experiment", "kill_worker", *QUICKER)
    assert 4 < _apart_s(run) - before_s < 6


def test_refuses_to_run_outside_the_vms_network(lab: VmLab) -> None:
    done = lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs, inside=False)
    assert done.returncode == 2
    assert "is not on any network of this computer" in done.stderr


@pytest.mark.parametrize("experiment", ["power_cut", "power_cut_heartbeat"])
def test_power_is_cut_and_comes_back(lab: VmLab, experiment: str) -> None:
    """The second of the two runs needs the machine that the first one switched off and on."""
    run = store.load(lab.run_experiment("--experiment", experiment))
    done = [e.details.get(e.event) for e in run.events if e.event in ("fault", "repair")]
    assert done == ["cut_power", "power_on"]
    found = verdicts(run.path)
    assert {verdict["verdict"] for verdict in found} == {"holds"}
    for verdict in found:
        virtual.seen(f"{experiment}: {verdict['why']}")


def test_a_run_goes_on_without_a_machine_that_dies(lab: VmLab) -> None:
    """Its QEMU is killed: no connection is closed. Captured output is kept, the others go on."""
    qemu = lab.qemu("pull-2")
    command = ["run-experiment", "--experiment", "round_robin", "--provider", "vagrant"]
    with lab.started(*virtual.fab_command(*command, "--interval", 1, "--runs", lab.runs)) as run:
        said = read_until(run, "pull-2 | ")
        lab.run("kill", "-9", qemu)
        died = time.monotonic()
        too_late = threading.Timer(LOST_WITHIN_S, os.killpg, (run.pid, signal.SIGKILL))
        too_late.start()
        said += run.communicate()[0]
        too_late.cancel()
    virtual.step("from the machine's death to the end of the run", since=died)
    assert run.returncode == ExitCode.MISTAKE, said
    assert "machine pull-2: the connection broke during the run" in said
    captured = (lab.runs / "latest").resolve()
    assert {verdict["verdict"] for verdict in verdicts(captured)} == {"not observed"}
    assert (captured / "pull-2/pull.log").stat().st_size > 0
    assert (captured / "push/push.log").read_text().split() == [str(n) for n in range(20)]
    for machine in ("push", "pull-1"):
        left = lab.vagrant("ssh", machine, "-c", "pgrep -fc [l]auncher.py || true")
        assert left.strip().splitlines()[-1] == "0"


def test_runs_again_after_halt_and_up(lab: VmLab) -> None:
    lab.vagrant("halt")
    done = lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs)
    assert done.returncode == 2
    assert "not all VMs are running" in done.stderr
    lab.vagrant("up")
    lab.run_experiment("--experiment", "kill_worker", *QUICKER)


def test_made_anew_with_other_addresses_and_a_fourth_machine(lab: VmLab) -> None:
    """By the inventory alone, and although each machine has a new host key."""
    inventory = lab.project / "inventory.yaml"
    text = inventory.read_text().replace("192.168.0.", "10.77.0.")
    new = "  pull-3: {role: puller, address: 10.77.0.164}\nproviders:"
    inventory.write_text(text.replace("providers:", new))
    lab.vagrant("destroy", "-f")
    assert lab.fab("run-experiment", "--provider", "vagrant", "--runs", lab.runs).returncode == 2
    lab.vagrant("up")
    done = lab.fab("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("reaches 3 others on the lab network") == 4
    run = lab.run_experiment("--experiment", "round_robin", *QUICKER)
    machines = _description(run)["inventory"]
    assert {name: there["address"] for name, there in machines.items()} == {
        "push": "10.77.0.161",
        "pull-1": "10.77.0.162",
        "pull-2": "10.77.0.163",
        "pull-3": "10.77.0.164",
    }


def test_destroy_leaves_no_machine(lab: VmLab) -> None:
    lab.vagrant("destroy", "-f")
    assert not list(lab.project.glob(".vagrant/machines/*/*/id"))
    assert "lab-" not in lab.run("virsh", "-c", "qemu:///system", "list", "--all").stdout
