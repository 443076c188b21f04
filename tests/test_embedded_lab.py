"""The embedded lab: what a machine has for itself, what it can't touch, and who may log in."""

import contextlib
import json
import os
import pty
import select
import shutil
import socket
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from command import FAB, PROJECT, fab, only_run, read_until, started, verdicts
from pyroute2 import IPRoute

from pushpull.core.errors import ExitCode, LabError
from pushpull.machines import lab_folder
from pushpull.machines.connection import connect
from pushpull.machines.inventory import load
from pushpull.machines.providers import namespaces
from pushpull.machines.providers.base import Access
from pushpull.machines.remote import Remote
from pushpull.runs import store

INTRUDER = Path(__file__).parent / "intruder"
QUICK = ("--experiment", "round_robin", "--interval", 0.01)
DEVICES = ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty"]
Machines = dict[str, Access]


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """An inventory of the test's own, so that no other's lab is up for it."""
    path = tmp_path / "inventory.yaml"
    shutil.copy(PROJECT / "inventory.yaml", path)
    yield path
    for provider in ("namespaces", "loopback", "ssh"):
        shutil.rmtree(lab_folder.folder(provider, load(path)), ignore_errors=True)


@pytest.fixture
def up(inventory: Path) -> Iterator[Path]:
    """The inventory of a lab that is up by hand."""
    original = inventory.read_bytes()
    flags = ("--provider", "namespaces", "--inventory", inventory)
    done = fab("up", *flags)
    assert done.returncode == 0, done.stderr
    yield inventory
    inventory.write_bytes(original)
    assert fab("down", *flags).returncode == 0


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """How the machines of a lab are reached that is up in this process."""
    path = shutil.copy(PROJECT / "inventory.yaml", tmp_path_factory.mktemp("lab"))
    with namespaces.Namespaces(load(Path(path))).lab(keep=False) as found:
        yield dict(found.access)


@pytest.fixture(params=["root", "nobody special"])
def someone(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Path]:
    """Runs an experiment with a clone in /tmp, as root or as a user without privileges."""
    if request.param == "root" and os.geteuid():
        pytest.skip("needs root")
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("pushpull", "fabfile.py", "inventory.yaml"):
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, clone / name)
    within: list[str] = []
    if request.param != "root" and os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.rglob("*")):
            os.chown(path, 12345, 12345)
        needed = f"{sys.prefix}:{sys.base_prefix}:{clone}"
        within = [sys.executable, str(PROJECT / "tests/unprivileged.py"), "12345", needed]

    def run(experiment: object) -> Path:
        own = {"PYTHONPATH": f"{clone}", "HOME": f"{clone}", "XDG_CACHE_HOME": f"{clone}-cache"}
        flags = ("--provider", "namespaces", "--inventory", clone / "inventory.yaml")
        done = fab(
            # A pusher that ends sooner than this after its last send may lose that.
            *("run-experiment", "--experiment", experiment, "--interval", 0.1, *flags),
            *("--runs", clone / "runs"),
            within=within,
            environment=own,
            cwd=clone,
        )
        assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
        return only_run(clone / "runs")

    return run


# --- What a machine has of its own. ---------------------------------------------------------------


@pytest.mark.slow
def test_a_program_reaches_nothing_outside_its_machine(
    someone: Callable[..., Path], tmp_path: Path
) -> None:
    experiment = tmp_path / "clone/intruder"
    shutil.copytree(INTRUDER, experiment)
    targets = [str(tmp_path / "clone/inventory.yaml"), sys.executable, "/etc/hostname"]
    port = next(iter(_listening_ports()), 1)
    (experiment / "targets").write_text("\n".join([*targets, str(port)]))
    fifo, path = tmp_path / "clone/fifo", tmp_path / "clone/socket"
    os.mkfifo(fifo, 0o666)
    fifo.chmod(0o666)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))  # from outside it can be written to
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    path.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))  # and the socket answers
    before = [Path(target).read_bytes() for target in targets]
    (tmp_path / "clone").chmod(0o777)

    stored = store.load(someone(experiment))
    *tried, about = [json.loads(r.text or "") for r in stored.records if r.stream == "stdout"]
    assert len(tried) > 30
    assert [way["way"] for way in tried if not way["refusal"]] == []
    assert about == {
        "host": "push",
        "processes": [1, about["processes"][1]],
        "links": ["eth0", "lo"],
        "interfaces": ["eth0", "lo"],
        "tmp": about["tmp"],
        "home": "/tmp/home",
        "dev": [*DEVICES, "urandom", "zero"],
        "user": 0,
        "names": {"push": "192.168.0.161", "pull-2": "192.168.0.163", "localhost": "127.0.0.1"},
    }
    assert set(about["tmp"]) >= {"home", "lab"}
    assert [Path(target).read_bytes() for target in targets] == before
    assert not list(tmp_path.rglob("intruder/intruder"))
    os.close(reader)
    listener.close()


@pytest.mark.slow
def test_it_works_from_a_clone_in_tmp(someone: Callable[..., Path]) -> None:
    certain = [v for v in verdicts(someone("round_robin")) if not v["by_chance"]]
    assert all(v["verdict"] == v["expected"] for v in certain)


def test_each_machine_sees_its_own_network_and_processes(machines: Machines) -> None:
    for name, access in machines.items():
        remote = Remote(access)
        assert remote.run(["hostname"]).decode().strip() == name
        assert remote.run(["sh", "-c", "echo $HOME; pwd"]) == b"/tmp/home\n/tmp/home\n"
        routes = remote.run(["cat", "/proc/net/fib_trie"]).decode()
        ours = {line.split()[1] for line in routes.splitlines() if "|-- 192.168.0.16" in line}
        assert ours == {access.address}
        if Path("/proc/sys/net/ipv4/tcp_ehash_entries").exists():  # Linux 6.1 and later
            # In the computer's large table it would take 20 times as long to find connections.
            assert remote.run(["cat", "/proc/sys/net/ipv4/tcp_ehash_entries"]) == b"1024\n"
        for _ in range(100):  # a command's output ends a moment before its process does
            seen = remote.run(["sh", "-c", "exec head -qn 1 /proc/[0-9]*/comm"]).decode().split()
            if "cat" not in seen:
                break
        assert set(seen) == {"python", "head"}  # nothing of this computer
        remote.close()


def test_machines_reach_each_other_and_nobody_else(machines: Machines) -> None:
    code = "import socket, sys; socket.create_connection((sys.argv[1], 22), timeout=3)"
    remote = Remote(machines["push"])

    def reach(address: str) -> str:
        script = f"{sys.executable} -Ic '{code}' {address} 2>&1 | tail -n 1"
        return remote.run(["sh", "-c", script]).decode()

    assert "Connection refused" in reach(machines["pull-1"].address)
    assert "Network is unreachable" in reach("10.0.0.1")
    remote.close()


@pytest.mark.slow
def test_the_computers_own_network_is_as_before(inventory: Path, tmp_path: Path) -> None:
    before = _network()
    flags = ("--provider", "namespaces", "--inventory", inventory, "--runs", tmp_path / "runs")
    with started("run-experiment", "--experiment", "round_robin", "--interval", 0.05, *flags) as it:
        read_until(it, "push")
        during = _network()
        assert it.stdout is not None
        it.stdout.read()
    assert it.wait() == ExitCode.EXPECTED
    assert before == during == _network()
    assert "192.168.0.16" not in str(during)


def _network() -> list[str]:
    """Return the addresses, links and routes of this computer."""
    with IPRoute() as netlink:
        addresses = [f"{a['index']} {a.get_attr('IFA_ADDRESS')}" for a in netlink.get_addr()]
        links = [f"{link['index']} {link.get_attr('IFLA_IFNAME')}" for link in netlink.get_links()]
        routes = [
            f"{r.get_attr('RTA_DST')}/{r['dst_len']} {r.get_attr('RTA_GATEWAY')}"
            for r in netlink.get_routes()
        ]
    return sorted(addresses + links + routes)


def _listening_ports() -> list[int]:
    found = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(f[1].partition(":")[2], 16) for f in found if f[3] == "0A"]


# --- Who gets in. ---------------------------------------------------------------------------------


def test_machines_listen_on_loopback_alone(machines: Machines) -> None:
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    for access in machines.values():
        assert access.port is not None
        assert [place for place in found if place.endswith(f":{access.port:04X}")] == [
            f"0100007F:{access.port:04X}"
        ]
    wide = Path("/proc/net/tcp6").read_text()
    assert not any(f":{access.port:04X} " in wide for access in machines.values())


def test_a_wrong_host_key_is_refused(machines: Machines) -> None:
    wrong = replace(machines["push"], host_key=machines["pull-1"].host_key)
    with pytest.raises(
        LabError, match=r"the host key of 127\.0\.0\.1:\d+ is not the one that"
    ) as caught:
        connect(wrong)
    assert caught.value.where == "machine push"


def test_a_wrong_client_key_is_refused(machines: Machines) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
    with pytest.raises(LabError, match="refuses the login of 'root'"):
        connect(replace(machines["push"], key=key))


def test_each_lab_has_its_own_keys(machines: Machines, inventory: Path) -> None:
    with namespaces.Namespaces(load(inventory)).lab(keep=False) as others:
        both = [*machines.values(), *others.access.values()]
        assert len({access.host_key for access in both}) == 6
        assert len({access.key for access in both}) == 2
        with pytest.raises(LabError, match="refuses the login"):
            connect(replace(others.access["push"], key=machines["push"].key))


# --- The lab by hand. -----------------------------------------------------------------------------


@pytest.mark.slow
def test_up_status_ssh_down(inventory: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    assert "not up" in fab("status", *flags).stdout
    try:
        for _ in range(2):  # the second does nothing
            assert fab("up", *flags).stdout.count("running") == 3
        assert fab("status", *flags).stdout.count("running") == 3
        assert "pull-1" in _shell_session(flags, "pull-1", b"hostname; exit\n")
    finally:
        down = fab("down", *flags)
    assert down.stdout == "the lab is down\n"
    assert fab("down", *flags).stdout == "no lab was up\n"
    done = fab("ssh", "--machine", "pull-1", *flags)
    assert done.returncode == ExitCode.MISTAKE
    assert "no lab is up" in done.stderr


def _shell_session(flags: tuple[object, ...], machine: str, typed: bytes) -> str:
    """Type into `fab ssh` on a terminal; return what the terminal shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(FAB[0], [*FAB, "ssh", "--machine", machine, *map(str, flags)])
    shown = b""
    with contextlib.suppress(OSError):  # a terminal's end, once nobody has it open
        while b"# " not in shown and b"$ " not in shown:
            shown += os.read(terminal, 4096)
        # Fabric drops what was typed before it set the terminal to pass on each key.
        while termios.tcgetattr(terminal)[3] & termios.ICANON:
            select.select([terminal], [], [], 0.01)
        os.write(terminal, typed)
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return shown.decode()


@pytest.mark.slow
def test_a_run_uses_the_lab_that_is_up_and_leaves_it(up: Path, tmp_path: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", up)
    for root in ("first", "second"):
        done = fab("run-experiment", *QUICK, *flags, "--runs", tmp_path / root)
        assert done.returncode == ExitCode.EXPECTED, done.stderr
    assert fab("status", *flags).stdout.count("running") == 3


@pytest.mark.slow
def test_keep_leaves_the_lab_up(inventory: Path, tmp_path: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    fab("run-experiment", *QUICK, *flags, "--keep", "--runs", tmp_path / "runs")
    assert fab("status", *flags).stdout.count("running") == 3
    assert fab("down", *flags).stdout == "the lab is down\n"


@pytest.mark.slow
def test_a_lab_from_another_version_of_the_inventory(up: Path, tmp_path: Path) -> None:
    up.write_text(up.read_text() + "# changed\n")
    for task in (("status",), ("run-experiment", *QUICK, "--runs", tmp_path / "runs"), ("up",)):
        done = fab(*task, "--provider", "namespaces", "--inventory", up)
        assert done.returncode == ExitCode.MISTAKE
        assert f"{up}: the running lab was made from another version" in done.stderr
        assert "fab down" in done.stderr


@pytest.mark.slow
def test_two_runs_in_one_lab_that_is_up(up: Path, tmp_path: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", up, "--experiment", "round_robin")
    with started("run-experiment", *flags, "--interval", 5, "--runs", tmp_path / "a") as first:
        read_until(first, "push")
        second = fab("run-experiment", *flags, "--interval", 0.01, "--runs", tmp_path / "b")
        assert second.returncode == ExitCode.MISTAKE
        assert "another run is using this lab" in second.stderr
        assert first.poll() is None  # undisturbed
    third = fab("run-experiment", *flags, "--interval", 0.01, "--runs", tmp_path / "c")
    assert third.returncode == ExitCode.EXPECTED, third.stdout + third.stderr


@pytest.mark.slow
def test_two_terminals_without_a_lab_that_is_up(inventory: Path, tmp_path: Path) -> None:
    flags = ("--inventory", inventory, "--runs", tmp_path / "runs", "--interval", 0.05)
    what = ("run-experiment", "--experiment", "round_robin")
    with started(*what, *flags) as first, started(*what, *flags) as second:
        for terminal in (first, second):
            said = terminal.communicate()[0]
            assert terminal.returncode == ExitCode.EXPECTED, said
    assert len(list((tmp_path / "runs").glob("*Z-*"))) == 2


@pytest.mark.slow
@pytest.mark.alone
def test_twenty_labs_with_the_same_addresses_at_once(inventory: Path, tmp_path: Path) -> None:
    flags = ("--provider", "namespaces", "--inventory", inventory)
    with contextlib.ExitStack() as stack:
        labs = [
            stack.enter_context(
                started("run-experiment", *QUICK, *flags, "--runs", tmp_path / str(n))
            )
            for n in range(20)
        ]
        for lab in labs:
            said = lab.communicate()[0]
            assert lab.returncode == ExitCode.EXPECTED, said
    for n in range(20):
        stored = store.load(only_run(tmp_path / str(n)))
        received = [
            r.text or "" for r in stored.records if (r.process, r.stream) == ("pull", "stdout")
        ]
        assert sorted(int(text.split()[0]) for text in received) == list(range(20))
