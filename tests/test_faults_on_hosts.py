"""Faults over OpenSSH: the same on a user's own hosts, and without leftovers there."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import fab, read_until, started
from hosts import Hosts, hosts

from pushpull.core.errors import ExitCode

ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
# Of each experiment the variants that differ in what the harness does; hosts keep their power.
EXPERIMENTS = [
    "ways_to_leave:terminate",
    "ways_to_leave:pause",
    "ways_to_leave:partition",
    "ways_to_leave:one_way",
    "ways_to_leave:reject",
    "ways_to_leave:partition_heal",
    "ways_to_leave:pause_heartbeat",
    "coming_back:kill",
    "coming_back:reject",
    "coming_back:pause",
    "loss_curve:every_50ms_work_15ms",
    "loss_curve:every_20ms_work_60ms",
    "fast_kill:killed",
    "fast_kill:told",
]


@pytest.fixture(scope="module")
def up(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ARTICLE) as lab:
        yield lab


def rules(lab: Hosts, name: str) -> str:
    """Return the network rules of a host, as it has them itself."""
    enter = ["nsenter", f"--net=/proc/{lab.pids[name]}/ns/net", "nft", "list", "ruleset"]
    return subprocess.run(enter, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_on_leaving_is_the_same_on_hosts(
    up: Hosts, experiment: str, tmp_path: Path
) -> None:
    before = {name: rules(up, name) for name in up.addresses}
    flags = ("--provider", "ssh", "--inventory", up.inventory(), "--runs", tmp_path)
    done = fab("run-experiment", "--experiment", experiment, *flags)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    verdicts = json.loads((tmp_path / "latest" / "verdicts.json").read_text())
    assert {v["verdict"] for v in verdicts if not v["by_chance"]} == {"holds"}
    assert {name: rules(up, name) for name in up.addresses} == before
    assert up.quiet_within(5)


@pytest.mark.slow
def test_a_host_can_not_lose_its_power(up: Hosts, tmp_path: Path) -> None:
    flags = ("--provider", "ssh", "--inventory", up.inventory(), "--runs", tmp_path)
    done = fab("run-experiment", "--experiment", "power_cut", *flags)
    assert done.returncode == ExitCode.MISTAKE
    assert "the provider 'ssh' can't do" in done.stderr


@pytest.mark.slow
def test_a_killed_harness_leaves_no_rule_on_a_host(up: Hosts, tmp_path: Path) -> None:
    before = {name: rules(up, name) for name in up.addresses}
    flags = ("--provider", "ssh", "--inventory", up.inventory(), "--runs", tmp_path)
    with started("run-experiment", "--experiment", "ways_to_leave:partition", *flags) as fabs:
        read_until(fabs, "── ")
        assert {name: rules(up, name) for name in up.addresses} != before
        fabs.kill()
        assert up.quiet_within(5)
    assert {name: rules(up, name) for name in up.addresses} == before
