"""What each provider must do, tried on any one: the lab's own, or one that somebody adds.

    .venv/bin/python -m pytest tests/provider_contract.py --provider NAME [--inventory FILE]

The inventory names a pusher and two pullers, by default those of the lab's own. Without a name the
providers are those that need nothing of the user's (see `test_provider_contract`).
"""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import FAB, PROJECT, events, fab, only_run, read_until, verdicts
from hosts import hosts
from jsonschema import Draft202012Validator
from leftovers import Family, adopt_orphans

from pushpull.core.errors import ExitCode, LabError
from pushpull.core.faults.change import Change
from pushpull.core.faults.fault import Scope
from pushpull.machines import lab_folder, preflight, provider_plugins, traffic_rules
from pushpull.machines.inventory import Inventory, load
from pushpull.machines.pool import at_once, connected
from pushpull.machines.providers.base import Machines, Provider
from pushpull.machines.remote import Remote

OURS = ("namespaces", *(pytest.param(name, marks=pytest.mark.slow) for name in ("loopback", "ssh")))
LIMIT_S = 30
ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
# What a change of the network is tried with; one that needs nothing has no row.
PARAMETERS = {
    "rate": {"kbit": 100},
    "slow": {"delay_ms": 1},
    "lose": {"every": 10},
    "cut_after": {"bytes": 7000},
    "cut_at": {"message": 1},
}
# Does each of FAULTS to a machine, and undoes it.
EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment

FAULTS = {faults!r}  # each with its repair, empty for one of the network


@experiment(source="the contract of providers", faults=tuple(FAULTS))
def broken(lab):
    "A machine that suffers all there is."
    victim, other = lab.machines("puller")[:2]
    for fault, repair in FAULTS.items():
        if repair:
            lab.inject(fault, victim)
            lab.inject(repair, victim)
        else:
            others = other if fault in {between!r} else None
            lab.inject(fault, victim, others=others, **{parameters!r}.get(fault, {{}}))
            lab.heal()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
HOLD = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="the contract of providers")
def hold(lab):
    "Programs that end only with their lab."
    lab.start("{name}", on="puller").wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
PROGRAM = "import signal; print('held', flush=True); signal.pause()\n"

# Waits until no process has a word in its command line; prints those that still have.
GONE = """
import os, select, sys
word, limit_s = sys.argv[1].encode(), float(sys.argv[2])
for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
        if pid != os.getpid() and word in command:
            ended = os.pidfd_open(pid)
            if not select.select([ended], [], [], limit_s)[0]:
                print(pid, command)
    except OSError:
        pass
"""
# Prints the address that each name leads to, `-` for one that isn't known.
NAMES = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(socket.gethostbyname(name))
    except OSError:
        print("-")
"""


@dataclass(frozen=True)
class Subject:
    """A provider that is tried, on the machines of an inventory file."""

    name: str
    path: Path

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--provider", self.name, "--inventory", str(self.path))

    @property
    def inventory(self) -> Inventory:
        return load(self.path, roles=["pusher", "puller"])

    @property
    def kind(self) -> type[Provider]:
        plugin = provider_plugins.found()[self.name]
        assert plugin.error is None, plugin.error
        kind: type[Provider] = plugin.value
        return kind

    @contextmanager
    def lab(self) -> Iterator[tuple[Machines, dict[str, Remote]]]:
        """Give its machines, and a connection to each."""
        provider = self.kind(self.inventory)
        with provider.lab(keep=False) as machines, connected(machines) as remotes:
            yield machines, remotes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "subject" in metafunc.fixturenames:
        named = metafunc.config.getoption("--provider")
        metafunc.parametrize("subject", [named] if named else OURS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def subject(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Subject]:
    given = request.config.getoption("--inventory")
    if given:
        yield Subject(request.param, given.resolve())
        return
    folder = tmp_path_factory.mktemp("subject")
    with ExitStack() as stack:
        if request.param == "ssh":
            sshd = request.getfixturevalue("sshd_program")
            path = stack.enter_context(hosts(folder / "hosts", sshd, ARTICLE)).inventory()
        else:
            path = Path(shutil.copy(PROJECT / "inventory.yaml", folder))
        yield Subject(request.param, path)
        shutil.rmtree(lab_folder.folder(request.param, load(path)), ignore_errors=True)


def test_it_says_what_it_is(subject: Subject) -> None:
    kind = subject.kind
    assert issubclass(kind, Provider)
    assert kind.name == subject.name
    assert len(kind.summary.splitlines()) == 1
    assert {fault.scope for fault in kind.faults} <= {Scope.MACHINE, Scope.NETWORK, Scope.CLOCK}
    assert {fault.repair for fault in kind.faults} - {None} <= kind.faults
    for settings in filter(None, (kind.settings, kind.machine_settings)):
        Draft202012Validator.check_schema(settings)
        assert settings["type"] == "object"
        assert settings["description"]
        assert all(each["description"] for each in settings["properties"].values())
    done = fab("providers")
    assert f"{kind.summary}\n" in done.stdout


def test_each_machine_of_the_inventory_answers_ssh(subject: Subject) -> None:
    with subject.lab() as (machines, remotes):
        assert machines.faults == subject.kind.faults
        named = {machine.name: machine.roles for machine in subject.inventory.machines}
        assert {name: there.roles for name, there in machines.access.items()} == named
        assert {there.provider for there in machines.access.values()} == {subject.name}
        assert len({there.address for there in machines.access.values()}) == len(named)
        said = at_once(remotes, lambda remote: remote.run(["echo", remote.name]))
        assert said == {name: f"{name}\n".encode() for name in named}


def test_machines_are_fit_and_reach_each_other(subject: Subject) -> None:
    with subject.lab() as (_, remotes):
        preflight.require(remotes)


@pytest.mark.slow
def test_machines_know_each_other_by_name_or_check_says_not(subject: Subject) -> None:
    with subject.lab() as (machines, remotes):
        addresses = {name: there.address for name, there in machines.access.items()}
        found = [
            remote.run([remote.access.python, "-ISc", NAMES, *addresses]).decode().split()
            for remote in remotes.values()
        ]
    known = all(there == [*addresses.values()] for there in found)
    assert known or not subject.kind.knows_names, found
    assert known == ("add to its /etc/hosts: " not in fab("check", *subject.flags).stdout)


def test_files_arrive_as_they_are_and_go(subject: Subject, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    (tmp_path / "any file").write_bytes(content)
    with subject.lab() as (_, remotes):
        for remote in remotes.values():
            remote.deploy("contract", {"below/any file": tmp_path / "any file"})
            place = remote.path("contract", "files", "below/any file")
            assert remote.run(["cat", place]) == content
            remote.remove("contract")
            assert remote.run(["ls", remote.path()]).decode().split().count("contract") == 0


def test_an_experiment_comes_to_its_verdicts(subject: Subject, tmp_path: Path) -> None:
    flags = ("--experiment", "round_robin", "--interval", "0.05", "--runs", tmp_path)
    done = fab("run-experiment", *subject.flags, *flags)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["provider"] == subject.name
    assert len(verdicts(only_run(tmp_path))) > 3


@pytest.mark.slow
def test_every_fault_that_it_declares_works_and_is_verified(
    subject: Subject, tmp_path: Path
) -> None:
    """Those of the network need tools on the machines, and are tried where these are there."""
    with subject.lab() as (machines, remotes):
        declared = sorted((f for f in machines.faults if f.kind == "fault"), key=str)
        faults = [f for f in declared if f.trial is None or _has(remotes, f.trial())]
    repairs = {f.name: "" if f.scope is Scope.NETWORK else f.repair.name for f in faults}
    between = [f.name for f in faults if f.between]
    text = EXPERIMENT.format(faults=repairs, between=between, parameters=PARAMETERS)
    (tmp_path / "broken.py").write_text(text)
    flags = ("--experiment", tmp_path / "broken.py", "--runs", tmp_path / "runs")
    done = fab("run-experiment", *subject.flags, *flags)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    seen = [e for e in events(only_run(tmp_path / "runs")) if e["event"] in ("fault", "repair")]
    assert [e["fault"] for e in seen if e["event"] == "fault"] == [f.name for f in faults]
    assert len(seen) == 2 * len(faults)
    assert [e for e in seen if e["verified"] is not True] == [], done.stdout


def _has(remotes: dict[str, Remote], trial: Change) -> bool:
    """Tell whether a harmless change of the network works on all machines."""
    try:
        for remote in remotes.values():
            remote.deploy("contract", {})
            try:
                traffic_rules.try_out(remote, "contract", trial)
            finally:
                remote.remove("contract")
    except LabError:
        return False
    return True


def test_what_came_up_goes_down_and_leaves_nothing(subject: Subject) -> None:
    adopt_orphans()
    with subprocess.Popen(
        [*FAB, "up", *subject.flags], stdout=subprocess.PIPE, text=True
    ) as coming:
        family = Family(coming.pid)
        said, _ = coming.communicate(timeout=600)
    assert coming.returncode == 0
    family.look()
    assert "not up" not in said
    assert fab("status", *subject.flags).stdout == said
    down = fab("down", *subject.flags)
    assert down.returncode == 0, down.stderr
    states = subject.kind(subject.inventory).status()
    assert [*states] == [machine.name for machine in subject.inventory.machines]
    if down.stdout == "the lab is down\n":
        assert "running" not in states.values()
    assert family.gone_within(LIMIT_S)
    assert family.leftovers() == []
    assert fab("down", *subject.flags).stdout == "no lab was up\n"


def test_a_harness_that_is_killed_leaves_nothing(subject: Subject, tmp_path: Path) -> None:
    adopt_orphans()
    name = f"hold_{tmp_path.name[-20:].lower()}"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / f"{name}.py").write_text(PROGRAM)
    (tmp_path / "own" / "experiment.py").write_text(HOLD.format(name=name))
    command = [*FAB, "run-experiment", *subject.flags, "--experiment", str(tmp_path / "own")]
    with subprocess.Popen(
        [*command, "--runs", str(tmp_path / "runs")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as harness:
        family = Family(harness.pid)
        for _ in subject.inventory.with_role("puller"):
            read_until(harness, "held")
        family.look()
        harness.send_signal(signal.SIGKILL)
        assert family.gone_within(LIMIT_S)
        assert family.leftovers() == []
    with subject.lab() as (_, remotes):
        for remote in remotes.values():
            gone = [remote.access.python, "-ISc", GONE, f"{name}.py", str(LIMIT_S)]
            assert remote.run(gone) == b"", remote.name
