"""However a run ended, each machine is as before: rules, queues, links, processes."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run, read_until, started
from hosts import Hosts, hosts
from machine_state import is_within, state

from pushpull.machines.inventory import load
from pushpull.machines.pool import connected
from pushpull.machines.providers.namespaces import Namespaces
from pushpull.runs import store

LIMIT_S = 20
FAULT = "── "  # how the view begins the line of what is done, and the first of all is the fault
ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}
States = dict[str, dict[str, str]]

# Pullers whose machine, once it has got a few messages, can send only slowly.
CRAWL = '''
from pushpull.api import Verdict, claim, experiment
from lab.experiments import messages


@experiment(source="a test", reads=messages.read, count=30, interval=0.1, faults=("rate",))
def crawl(lab):
    """A link that is slow."""
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", **lab.plan)
    victim = lab.first(pullers, prints=lambda line: messages.number(line) >= 3)
    lab.limit_rate(victim.machine, kbit=100)
    pusher.wait()


@claim("It ends.")
def ends(run):
    return Verdict.holds("It did.")
'''
# The fault's name, and the experiment that does it.
PROCESS_AND_NETWORK = {
    "pause": "ways_to_leave:pause",
    "partition": "ways_to_leave:partition",
    "reject": "ways_to_leave:reject",
    "rate": "crawl.py",
}
EMBEDDED = PROCESS_AND_NETWORK | {
    "cut_cable": "ways_to_leave:cut_cable",
    "cut_power": "ways_to_leave:cut_power",
    "shut_down": "ways_to_leave:shut_down",
}


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    (tmp_path / "crawl.py").write_text(CRAWL)
    return tmp_path


def experiment(name: str, folder: Path) -> str:
    return str(folder / name) if name.endswith(".py") else name


# --- The embedded lab, kept up. -------------------------------------------------------------------


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    path = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path))
    Namespaces(load(path)).up()
    yield path
    Namespaces(load(path)).down()


def embedded(inventory: Path) -> States:
    with Namespaces(load(inventory)).lab(keep=True) as machines, connected(machines) as remotes:
        return {
            name: state(lambda argv, remote=remote: remote.run(argv).decode())
            for name, remote in remotes.items()
        }


def flags(inventory: Path) -> Sequence[object]:
    return ("--provider", "namespaces", "--inventory", inventory, "--runs", runs_of(inventory))


def runs_of(inventory: Path) -> Path:
    return inventory.parent / "runs"


@pytest.mark.slow
@pytest.mark.parametrize("fault", EMBEDDED)
def test_a_lab_that_stays_is_as_before(inventory: Path, crawl: Path, fault: str) -> None:
    before = embedded(inventory)
    name = experiment(EMBEDDED[fault], crawl)
    done = fab("run-experiment", "--experiment", name, *flags(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    done_to_it = [
        e.details["fault"]
        for e in store.load(only_run(runs_of(inventory))).events
        if e.event == "fault"
    ]
    assert done_to_it == [fault]
    assert embedded(inventory) == before


@pytest.mark.slow
@pytest.mark.parametrize("fault", EMBEDDED)
def test_a_lab_whose_harness_is_killed_is_as_before(
    inventory: Path, crawl: Path, fault: str
) -> None:
    before = embedded(inventory)
    name = experiment(EMBEDDED[fault], crawl)
    with started("run-experiment", "--experiment", name, *flags(inventory)) as harness:
        read_until(harness, FAULT)
        harness.kill()
        harness.wait()
    assert is_within(LIMIT_S, before, lambda: embedded(inventory))


# --- Hosts with OpenSSH. --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def up(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ARTICLE) as lab:
        yield lab


def of_hosts(lab: Hosts) -> States:
    def asked(name: str) -> Callable[[Sequence[str]], str]:
        enter = ["nsenter", "--target", str(lab.pids[name]), "--net", "--mount"]
        return lambda argv: (
            subprocess.run([*enter, *argv], capture_output=True, text=True, check=False).stdout
        )

    return {name: state(asked(name)) for name in lab.addresses}


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["ends", "killed"])
@pytest.mark.parametrize("fault", PROCESS_AND_NETWORK)
def test_hosts_are_as_before(up: Hosts, crawl: Path, fault: str, killed: bool) -> None:
    before = of_hosts(up)
    command = ("run-experiment", "--experiment", experiment(PROCESS_AND_NETWORK[fault], crawl))
    where = ("--provider", "ssh", "--inventory", up.inventory(), "--runs", crawl / "runs")
    with started(*command, *where) as harness:
        read_until(harness, FAULT)
        assert of_hosts(up) != before
        if killed:
            harness.kill()
        harness.communicate()
    assert is_within(LIMIT_S, before, lambda: of_hosts(up))
    assert up.quiet_within(5)
