"""The provider `ssh`: the same experiments through real OpenSSH servers, and what may go wrong."""

import contextlib
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run, read_until, started, verdicts
from hosts import Hosts, hosts

from pushpull.core.errors import ExitCode
from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.runs import store

ARTICLE = {"push": "192.168.0.161", "pull-1": "192.168.0.162", "pull-2": "192.168.0.163"}


@pytest.fixture(scope="module")
def lab(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """The article's three machines as hosts."""
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ARTICLE) as up:
        yield up


@pytest.fixture(autouse=True)
def state_goes(lab: Hosts, tmp_path: Path) -> Iterator[None]:
    """Takes away what the provider keeps in the project for an inventory of a test."""
    yield
    for folder in (lab.folder, tmp_path):
        if (folder / "inventory.yaml").exists():
            inventory = load(folder / "inventory.yaml")
            shutil.rmtree(lab_folder.folder("ssh", inventory), ignore_errors=True)


@pytest.fixture
def known(lab: Hosts) -> Iterator[Hosts]:
    """The same, for a test that changes what is known of them."""
    yield lab
    lab.forget_all()
    for name in lab.addresses:
        lab.know(name)


def run(inventory: Path, tmp_path: Path, *more: object) -> list[dict]:
    """Run an experiment through SSH; every verdict must be the expected one."""
    flags = ("--provider", "ssh", "--inventory", inventory, "--runs", tmp_path)
    done = fab("run-experiment", *flags, "--interval", 0.05, *more)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    return verdicts(only_run(tmp_path))


def refused(inventory: Path, tmp_path: Path) -> str:
    """Return the message of a run that can't begin."""
    flags = ("--provider", "ssh", "--inventory", inventory, "--runs", tmp_path)
    done = fab("run-experiment", "--experiment", "round_robin", *flags, "--interval", 0.05)
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    assert "\nTraceback" not in done.stderr  # a program's is indented
    return done.stderr


@pytest.mark.slow
@pytest.mark.alone
def test_the_articles_verdicts_are_the_same_on_every_provider(lab: Hosts, tmp_path: Path) -> None:
    embedded = shutil.copy(PROJECT / "inventory.yaml", tmp_path)
    seen = []
    with contextlib.ExitStack() as stack:
        calls = {}
        for provider in ("ssh", "namespaces", "loopback"):
            inventory = lab.inventory() if provider == "ssh" else embedded
            flags = ("--provider", provider, "--inventory", inventory)
            # Forty messages: one that returns after the eighth has more than a second to be there.
            plan = ("--interval", 0.05, "--count", 40, "--runs", tmp_path / provider)
            calls[provider] = stack.enter_context(started("run-experiment", *flags, *plan))
        for provider, call in calls.items():
            said = call.communicate()[0]
            assert call.returncode == ExitCode.EXPECTED, said
            seen.append([certain(verdicts(run)) for run in store.last_call(tmp_path / provider)])
    assert len(seen[0]) == 4
    assert seen[0] == seen[1] == seen[2]


def certain(found: list[dict]) -> dict[str, str]:
    """Return what each claim came to, but for those that depend on chance."""
    return {v["id"]: v["verdict"] for v in found if not v["by_chance"]}


@pytest.mark.slow
def test_nothing_is_left_on_the_hosts(lab: Hosts, tmp_path: Path) -> None:
    run(lab.inventory(), tmp_path, "--experiment", "kill_worker")
    assert lab.quiet_within(5)
    assert lab.left_by(only_run(tmp_path).name) == []


@pytest.mark.slow
def test_check_finds_nothing_wrong(lab: Hosts) -> None:
    done = fab("check", "--provider", "ssh", "--inventory", lab.inventory())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "reaches 2 others on the lab network" in done.stdout


@pytest.mark.slow
def test_a_host_without_its_address_is_named_and_not_run_on(lab: Hosts, tmp_path: Path) -> None:
    text = lab.inventory().read_text().replace("192.168.0.163", "192.168.0.99")
    wrong = _beside(lab, tmp_path, text)
    done = fab("check", "--provider", "ssh", "--inventory", wrong)
    assert done.returncode == ExitCode.MISTAKE
    assert "pull-2       can't listen at 192.168.0.99:1234: [Errno 99]" in done.stdout
    assert "machine pull-2: can't listen at 192.168.0.99:1234" in refused(wrong, tmp_path)
    assert list(tmp_path.glob("*Z-*")) == []


def test_a_changed_host_key_is_refused(known: Hosts, tmp_path: Path) -> None:
    known.forget_all()
    for name in known.addresses:
        known.know(name, key_of="push")
    said = refused(known.inventory(), tmp_path)
    assert "machine pull-1: can't reach it: the host key of 127.0.0.1:" in said
    assert "has changed" in said
    assert list(tmp_path.glob("*Z-*")) == []


def test_an_unknown_host_key_is_refused(known: Hosts, tmp_path: Path) -> None:
    known.forget_all()
    said = refused(known.inventory(), tmp_path)
    assert "machine push: can't reach it" in said
    assert "is unknown" in said


def test_a_host_that_refuses_the_login(lab: Hosts, tmp_path: Path) -> None:
    stranger = lab.folder / "push/host_key"
    text = lab.inventory().read_text().replace("key: client", f"key: {stranger}")
    said = refused(_beside(lab, tmp_path, text), tmp_path)
    assert "machine push: can't reach it" in said
    assert "refuses the login of" in said


def test_a_key_file_that_is_missing(lab: Hosts, tmp_path: Path) -> None:
    text = lab.inventory().read_text().replace("key: client", "key: none")
    assert str(tmp_path / "none") in refused(_beside(lab, tmp_path, text), tmp_path)


def test_a_host_without_an_ssh_server(lab: Hosts, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = refused(lab.inventory(pull_2=port), tmp_path)
    assert f"machine pull-2: can't reach it: no SSH server answers at 127.0.0.1:{port}" in said


def test_a_host_that_hangs_up_at_once(lab: Hosts, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        threading.Thread(target=_hang_up, args=[deaf], daemon=True).start()
        said = refused(lab.inventory(pull_2=deaf.getsockname()[1]), tmp_path)
    assert "machine pull-2: can't reach it" in said


@pytest.mark.slow
def test_two_runs_at_once_on_the_same_hosts(lab: Hosts, tmp_path: Path) -> None:
    inventory = lab.inventory()
    flags = ("--provider", "ssh", "--inventory", inventory, "--interval", 5)
    with started("run-experiment", "--experiment", "round_robin", *flags, "--runs", tmp_path) as it:
        read_until(it, "push")
        assert "another run is using this lab" in refused(inventory, tmp_path / "second")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["cut", pytest.param("freeze", marks=pytest.mark.slow)])
def test_a_run_goes_on_without_a_host_that_is_lost_midway(
    known: Hosts, tmp_path: Path, how: str
) -> None:
    """Its connection breaks, or nothing comes through any more and nobody says so."""
    with _wire(known.ports["pull-2"]) as wire:
        known.know("pull-2", port=wire.port)
        flags = ("--provider", "ssh", "--inventory", known.inventory(pull_2=wire.port))
        what = ("run-experiment", "--experiment", "round_robin", "--interval", 0.1)
        with started(*what, *flags, "--runs", tmp_path) as it:
            read_until(it, "push   | 3")
            getattr(wire, how)()
            said = it.communicate()[0]
    assert it.returncode == ExitCode.MISTAKE, said
    assert "pull on pull-2 was lost: the connection to its machine broke" in said
    assert "machine pull-2: the connection broke during the run" in said
    stored = store.load(only_run(tmp_path))
    assert stored.state == "interrupted"
    assert "machine pull-2: the connection broke" in stored.description["error"]
    printed = [r.text for r in stored.records if r.machine == "push" and r.stream == "stdout"]
    assert printed == [str(number) for number in range(20)]
    assert any(record.machine == "pull-2" for record in stored.records)
    found = verdicts(stored.path)
    assert {verdict["verdict"] for verdict in found} == {"not observed"}
    assert "The connection to pull-2 broke" in found[0]["why"]
    assert "\nsame verdicts as before\n" in fab("report", "--judge", "--run", stored.path).stdout
    assert known.quiet_within(5)
    assert known.left_by(stored.path.name) == [
        known.folder / "pull-2/home/.cache/push-pull-lab" / stored.path.name
    ]


@pytest.mark.slow
def test_deployed_files_are_removed_if_a_host_is_lost_early(known: Hosts, tmp_path: Path) -> None:
    """The second experiment of a call finds the host gone that the first one lost."""
    with _wire(known.ports["pull-2"]) as wire:
        known.know("pull-2", port=wire.port)
        flags = ("--provider", "ssh", "--inventory", known.inventory(pull_2=wire.port))
        what = ("run-experiment", "--count", 3, "--interval", 0.1)
        with started(*what, *flags, "--runs", tmp_path) as it:
            read_until(it, "push   | 0")
            wire.cut()
            said = it.communicate()[0]
    assert it.returncode == ExitCode.MISTAKE, said
    assert re.search(r"machine pull-2: can't deploy the programs: the connection .* broke", said)
    left = [lost for run in tmp_path.glob("*Z-*") for lost in known.left_by(run.name)]
    assert {path.parents[3].name for path in left} == {"pull-2"}


@pytest.mark.slow
def test_hosts_that_can_no_longer_be_reached(lab: Hosts, known: Hosts, tmp_path: Path) -> None:
    """No packet comes through any more, not even one that says so: programs end by themselves."""
    lease = tmp_path / "pushpull"
    shutil.copytree(PROJECT / "lab", lease)
    file = lease / "machines" / "agent" / "launcher.py"
    launcher = file.read_text()
    launcher = launcher.replace("LEASE_S = 30", "LEASE_S = 3").replace(
        "PULSE_S = 10", "PULSE_S = 1"
    )
    assert "LEASE_S = 3\n" in launcher
    file.write_text(launcher)
    shutil.copy(PROJECT / "fabfile.py", tmp_path)
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(_wire(port)) for name, port in lab.ports.items()}
        for name, wire in wires.items():
            known.know(name, port=wire.port)
        ports = {name.replace("-", "_"): wire.port for name, wire in wires.items()}
        flags = ("--provider", "ssh", "--inventory", lab.inventory(**ports), "--runs", tmp_path)
        what = ("run-experiment", "--experiment", "round_robin", "--interval", 10)
        environment = {"PYTHONPATH": str(tmp_path)}
        fab = stack.enter_context(started(*what, *flags, environment=environment))
        read_until(fab, "push   | 0")
        assert not lab.quiet_within(5)  # longer than a lease, which pulses renew
        for wire in wires.values():
            wire.freeze()
        fab.kill()
        assert lab.quiet_within(30)


def test_a_host_whose_python_lacks_pyzmq(lab: Hosts, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    text = lab.inventory().read_text().replace(f"python: {sys.executable}", f"python: {bare}")
    said = refused(_beside(lab, tmp_path, text), tmp_path)
    assert "machine push: it lacks what the implementation 'pyzmq' needs: zmq" in said
    assert "sudo sh provision/provision.sh" in said


def test_a_host_without_the_python_that_was_named(lab: Hosts, tmp_path: Path) -> None:
    text = lab.inventory().read_text().replace(f"python: {sys.executable}", "python: /no/python")
    said = refused(_beside(lab, tmp_path, text), tmp_path)
    assert "machine push: no Python at /no/python\n  provision it: provision/" in said


def _beside(lab: Hosts, folder: Path, text: str) -> Path:
    """Write an inventory with another text, and the files that it names beside it."""
    for name in ("client", "known_hosts"):
        (folder / name).symlink_to(lab.folder / name)
    (folder / "inventory.yaml").write_text(text)
    return folder / "inventory.yaml"


def _hang_up(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


class _Wire:
    """A way to a port that can be cut."""

    def __init__(self, server: socket.socket, target: int) -> None:
        self.port = server.getsockname()[1]
        self._server = server
        self._target = target
        self._ends: list[socket.socket] = []
        self._frozen = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Let nothing through any more, and tell nobody."""
        self._frozen.set()

    def cut(self) -> None:
        """End all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._server.accept()[0]
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not self._frozen.is_set():
                    target.sendall(data)
            if not self._frozen.is_set():
                target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def _wire(target: int) -> Iterator[_Wire]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wire = _Wire(server, target)
        yield wire
        wire.cut()
