"""`fab check` reports what each machine can do, and why not the rest; it changes nothing there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PROJECT, fab
from hosts import Hosts, hosts

from pushpull.core.faults.network import PARTITION
from pushpull.machines import tool_errors
from pushpull.machines.agent import rule_keeper
from pushpull.machines.inventory import load
from pushpull.machines.providers import registry
from pushpull.machines.providers.base import Auto, Refused
from pushpull.machines.providers.loopback import Loopback

ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
POWER = "cut_power, shut_down, cut_cable"
PROCESSES = "terminate, interrupt, kill, pause, hold and exact kills"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for hosts with its rights")


@pytest.fixture(scope="module")
def up(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ARTICLE) as lab:
        yield lab


def said(*flags: object) -> str:
    done = fab("check", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_embedded_lab() -> None:
    told = said("--provider", "namespaces")
    for name in ARTICLE:
        able = next(line for line in told.splitlines() if f"{name:12} can do" in line)
        assert f"can do {POWER}, {PROCESSES}, partition, reject, slow, " in able
        assert "lose, cut_after, cut_at, set_clock, capture" in able
        assert f"✓ {name:12} can become root" in told
        assert f"✓ {name:12} clock +0.0 ms from ours" in told


@pytest.mark.slow
def test_plain_processes_leave_this_computers_network_alone() -> None:
    told = said("--provider", "loopback")
    assert f"✓ pull-1       can do {PROCESSES}\n" in told
    for faults in (f"{POWER}, set_clock", "partition, reject, slow, rate, lose, cut_after, cut_at"):
        assert f"can't do {faults}: the provider 'loopback'" in told


@pytest.mark.slow
@needs_root
def test_hosts(up: Hosts) -> None:
    told = said("--provider", "ssh", "--inventory", up.inventory())
    for name in ARTICLE:
        able = next(line for line in told.splitlines() if f"{name:12} can do" in line)
        assert f"can do {PROCESSES}, partition" in able
        assert f"○ {name:12} can't do {POWER}, set_clock: the provider 'ssh' can't do it" in told
    assert up.quiet_within(5)
    assert not list(up.folder.glob("*/home/.cache/push-pull-lab/trial-*"))


@pytest.mark.slow
@needs_root
def test_a_host_without_tools(up: Hosts, tmp_path: Path) -> None:
    config = up.folder / "pull-1" / "config"
    for tool in ("id", "rm", "env"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    before = config.read_text()
    config.write_text(re.sub("(?<=SetEnv PATH=).*", str(tmp_path), before))
    try:
        told = said("--provider", "ssh", "--inventory", up.inventory())
    finally:
        config.write_text(before)
    no_nft = "its network can't be changed: there is no nft"
    assert f"○ pull-1       can't do partition, reject, lose, cut_after: {no_nft}" in told
    assert "can't do slow, cut_at: its network can't be changed: there is no ip" in told
    assert "can't do rate: its network can't be changed: there is no tc" in told
    assert "→ install nftables there" in told


@pytest.mark.slow
def test_an_unreachable_host_hides_no_other(up: Hosts) -> None:
    nobody = up.inventory(pull_2=1)
    done = fab("check", "--provider", "ssh", "--inventory", nobody)
    up.inventory()
    assert done.returncode == 2
    assert "✗ pull-2       not reached: " in done.stdout
    assert f"✓ pull-1       can do {PROCESSES}" in done.stdout
    assert "pull-1       reaches 1 other on the lab network" in done.stdout


@needs_root
def test_without_root_and_sudo_the_cause_is_named() -> None:
    as_user = [sys.executable, str(PROJECT / "tests/unprivileged.py"), "12345"]
    needed = ":".join((sys.prefix, sys.base_prefix, str(PROJECT)))
    answer = subprocess.run(
        [*as_user, needed, sys.executable, "-IS", rule_keeper.__file__],
        input=PARTITION.trial().order().decode(),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    cause, hint = tool_errors.diagnose(answer)
    assert cause.startswith(("its user isn't root, and there is no sudo", "sudo asks"))
    assert "NOPASSWD" in hint


def test_auto_keeps_the_cures_of_what_refused() -> None:
    """`fab check` prints them: it must not send its user to `fab check`."""

    class Refusing(Loopback):
        def up(self) -> None:
            raise Refused("this computer refuses it", hint="allow it")

    class Willing(Loopback):
        auto = Auto(order=2, loses="Something is lost")

        def up(self) -> None:
            pass

    inventory = load(PROJECT / "inventory.yaml")
    said: list[str] = []
    auto = registry._FirstThatCan([Refusing(inventory), Willing(inventory)], said.append)
    auto.up()
    assert registry.refusals(auto) == [("this computer refuses it. Something is lost", "allow it")]
    assert registry.refusals(Willing(inventory)) == ()
    assert len(said) == 1
