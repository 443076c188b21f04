"""A lab's life: what its processes get, who may talk to it, how it starts and ends."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import FAB, PROJECT, fab
from leftovers import Family, adopt_orphans, command_of, descendants
from quick import rest_slow

from pushpull.machines import lab_folder
from pushpull.machines.inventory import load
from pushpull.machines.providers import namespaces
from pushpull.machines.providers.embedded.address_blocks import Block
from pushpull.machines.providers.embedded.control import Client
from pushpull.machines.remote import Remote

TESTS = Path(__file__).parent
LIMIT_S = 20
PROVIDERS = ("namespaces", pytest.param("loopback", marks=pytest.mark.slow))
UNPRIVILEGED = 12345


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Path]:
    """An inventory of the test's own, so that no other's lab is up for it."""
    path = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path))
    yield path
    for provider in ("namespaces", "loopback"):
        shutil.rmtree(lab_folder.folder(provider, load(path)), ignore_errors=True)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The inventory of a lab that is up by hand; each test leaves it as it is."""
    inventory = Path(shutil.copy(PROJECT / "inventory.yaml", tmp_path_factory.mktemp("up")))
    flags = ("--provider", "namespaces", "--inventory", inventory)
    assert fab("up", *flags).returncode == 0
    yield inventory
    assert fab("down", *flags).returncode == 0
    shutil.rmtree(lab_folder.folder("namespaces", load(inventory)))


def _as_user(uid: int, *paths: Path) -> list[str]:
    """Return a command that runs another one as this user, with access to these paths."""
    if uid == os.geteuid():
        return []
    if os.geteuid():
        pytest.skip("needs root")
    needed = ":".join([sys.prefix, sys.base_prefix, str(PROJECT), *map(str, paths)])
    return [sys.executable, str(TESTS / "unprivileged.py"), str(uid), needed]


# --- What its processes are given. ----------------------------------------------------------------

# Brings a lab up whose machines answer, prints the pids of its processes, and waits.
_BROUGHT_UP = """
import importlib, os, sys, time
from pathlib import Path
sys.path.append(sys.argv[1])
from leftovers import descendants
from pushpull.machines.inventory import load
from pushpull.machines.providers import loopback, namespaces
from pushpull.machines.pool import connected
os.environ["PYTHONPATH"] = os.getcwd()  # has a json.py
provider = {"loopback": loopback, "namespaces": namespaces}[sys.argv[2]]
with provider.PROVIDER(load(Path(sys.argv[3]))).lab(keep=False) as machines:
    with connected(machines) as remotes:
        assert all(remote.run(["echo", "yes"]) == b"yes\\n" for remote in remotes.values())
    for _ in range(1000):  # until the processes of `echo` are gone too
        if len(found := descendants(os.getpid())) == 5:
            break
        time.sleep(0.01)
    print(*found, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("uid", rest_slow([0, UNPRIVILEGED]))
@pytest.mark.parametrize("provider", rest_slow(["namespaces", "loopback"]))
def test_a_lab_knows_nothing_of_the_users_environment(
    uid: int, provider: str, tmp_path: Path, inventory: Path
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the user was imported')")
    with subprocess.Popen(
        [
            *_as_user(uid, tmp_path),
            *(sys.executable, "-P", "-c", _BROUGHT_UP, str(TESTS), provider, str(inventory)),
        ],
        env=os.environ
        | {"LAB_TEST_TOKEN": "secret-of-the-user", "LC_ALL": "C.UTF-8"}
        | {"HOME": "/home/nobody-special", "LOGNAME": "nobody"},
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout is not None
        pids = script.stdout.readline().split()
        # Read here, as root where that user can't look into a machine.
        environments = [Path(f"/proc/{pid}/environ").read_text() for pid in pids]
    assert script.returncode == 0
    assert len(environments) == 5  # the supervisor, the first process, three machines
    assert all("LC_ALL=C.UTF-8" in environment for environment in environments)
    assert not any("secret-of-the-user" in environment for environment in environments)
    assert not any("nobody-special" in environment for environment in environments)
    assert not any("PYTHONPATH" in environment for environment in environments)


# --- Who may talk to it. --------------------------------------------------------------------------


def _connected(inventory: Path, provider: str = "namespaces") -> socket.socket:
    """Return a connection to the control socket of the lab that is up, nothing said on it."""
    connection = socket.socket(socket.AF_UNIX)
    folder = os.open(lab_folder.folder(provider, load(inventory)), os.O_PATH)
    connection.connect(f"/proc/self/fd/{folder}/control")
    os.close(folder)
    connection.settimeout(LIMIT_S)
    return connection


def _states(inventory: Path) -> set[str]:
    return set(namespaces.Namespaces(load(inventory)).status().values())


# Asks a lab's control socket as `fab` does, from wherever it runs, and prints the answer.
_ASK = """
import json, socket, sys
control = socket.socket(socket.AF_UNIX)
control.settimeout(20)
try:
    control.connect(sys.argv[1])
    with open("/proc/self/ns/pid") as namespace:
        request = {"do": "greet", "machine": ""}
        socket.send_fds(control, [json.dumps(request).encode() + b"\\n"], [namespace.fileno()])
    print(control.makefile().readline())
except OSError as error:
    print(json.dumps({"refused": str(error)}))
"""


def test_a_program_on_a_machine_gets_no_answer_from_a_lab(up: Path) -> None:
    """Neither from its own, nor from another one of the same user."""
    folder = lab_folder.folder("namespaces", load(up))
    own = namespaces.Namespaces(load(up))
    other = namespaces.Namespaces(load(Path(shutil.copy(up, up.with_name("other.yaml")))))
    for provider in (own, other):
        with provider.lab(keep=False) as machines:
            remote = Remote(machines.access["push"])
            ask = [machines.access["push"].python, "-ISc", _ASK, str(folder / "control")]
            answer = json.loads(remote.run(ask))
            remote.close()
        assert "refused" in answer
    assert _states(up) == {"running"}


def test_a_program_on_a_machine_cannot_read_the_client_key(up: Path) -> None:
    key = lab_folder.folder("namespaces", load(up)) / "key"
    with namespaces.Namespaces(load(up)).lab(keep=False) as machines:
        remote = Remote(machines.access["push"])
        shown = remote.run(["sh", "-c", f"cat {key} 2>&1; ls {key.parent} 2>&1; true"])
        remote.close()
    assert b"PRIVATE KEY" not in shown
    assert shown.count(b"No such file or directory") == 2


def test_another_pid_namespace_of_the_computer_gets_no_answer(up: Path) -> None:
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("needs a PID namespace")
    path = str(lab_folder.folder("namespaces", load(up)) / "control")
    ask = [sys.executable, "-ISc", _ASK, path]
    said = [subprocess.check_output([*way, *ask], text=True) for way in ([], apart)]
    assert "machines" in json.loads(said[0])
    assert "process namespaces" in json.loads(said[1])["refused"]


def test_the_client_key_is_in_no_answer_and_the_owners_file(up: Path) -> None:
    key = lab_folder.folder("namespaces", load(up)) / "key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    with contextlib.closing(Client(_connected(up))) as client:
        said = json.dumps(client.greet())
    assert "host_key" in said
    assert "PRIVATE KEY" not in said
    assert key.read_text().splitlines()[1] not in said


INVALID = (
    b"\n",
    b"{\n",
    b"[]\n",
    b"7\n",
    b'{"do": 1}\n',
    b'{"do": "status", "machine": []}\n',
    b"\xff\xfe\n",
    b"[" * 60_000 + b"\n",
    b"x" * 1_000_000,
    b'{"do": "status"}\n',  # without a greeting: no proof
)


def test_an_invalid_request_costs_only_its_peer(up: Path) -> None:
    for said in INVALID:
        with _connected(up) as peer:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.sendall(said)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while data := peer.recv(4096):
                    answer += data
        assert b"machines" not in answer, said[:40]
        assert _states(up) == {"running"}, said[:40]


def test_requests_in_pieces_and_senseless_requests_are_answered(up: Path) -> None:
    with _connected(up) as peer, contextlib.closing(Client(peer)) as client:
        assert "machines" in client.greet()
        assert "refused" in client.ask("fly")
        assert "refused" in client.ask("cut_power", "nobody")
        for piece in (b'{"do": "sta', b'tus", "mach', b'ine": ""}\n{"do": "status"', b"}\n"):
            peer.sendall(piece)
            assert _states(up) == {"running"}  # nobody waits for the rest
        assert "machines" in client.hear()
        assert "machines" in client.hear()


def test_a_peer_that_never_reads_or_never_speaks_blocks_no_other(up: Path) -> None:
    with contextlib.ExitStack() as stack:
        deaf = stack.enter_context(_connected(up))
        client = stack.enter_context(contextlib.closing(Client(deaf)))
        client.greet()
        deaf.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100_000):
                deaf.send(b'{"do": "status"}\n')
        for _ in range(100):
            stack.enter_context(_connected(up))
        assert _states(up) == {"running"}


# --- How it starts. -------------------------------------------------------------------------------


def _supervisors(family: Family) -> list[int]:
    return [
        pid
        for pid in family.alive()
        if "pushpull.machines.providers.embedded.supervisor" in command_of(pid)
    ]


@pytest.fixture
def family() -> Iterator[Family]:
    """All that this test starts."""
    adopt_orphans()
    found = Family(os.getpid())
    yield found
    for pid in _supervisors(found):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_four_labs_brought_up_at_once_are_one(
    inventory: Path, family: Family, provider: str
) -> None:
    flags = ("--provider", provider, "--inventory", str(inventory))
    calls = [
        subprocess.Popen([*FAB, "up", *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    for call in calls:
        said = call.communicate()[0].decode()
        assert call.returncode == 0, said
        assert said.count("running") == 3
    family.look()
    assert fab("down", *flags).stdout == "the lab is down\n"
    assert family.gone_within(LIMIT_S)
    assert family.leftovers() == []
    assert fab("down", *flags).stdout == "no lab was up\n"


@contextlib.contextmanager
def _held(*paths: Path) -> Iterator[set[int]]:
    """Hold those that are there, so that no new file gets an inode of theirs; yield these.

    The time of change doesn't tell new from old: removing a file changes it, just before.
    """
    with contextlib.ExitStack() as stack:
        held = [os.open(path, os.O_PATH) for path in paths if path.exists()]
        for descriptor in held:
            stack.callback(os.close, descriptor)
        yield {os.fstat(descriptor).st_ino for descriptor in held}


def _is_new(path: Path, old: set[int]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino not in old
    return False


@pytest.mark.slow
@pytest.mark.parametrize("number", rest_slow([signal.SIGKILL, signal.SIGINT]))
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lab_whose_start_was_cut_short_is_whole_or_nothing(
    inventory: Path, family: Family, provider: str, number: int
) -> None:
    folder = lab_folder.folder(provider, load(inventory))
    temporary = inventory.with_name("temporary")
    temporary.mkdir()
    flags = ("--provider", provider, "--inventory", str(inventory))
    control, key = folder / "control", folder / "key"
    moments = {
        "a supervisor": lambda old: len(_supervisors(family)) > 0,
        "its socket": lambda old: _is_new(control, old),
        "its first process": lambda old: len(_supervisors(family)) > 1,
        "its key": lambda old: _is_new(key, old),
    }
    for moment, there in moments.items():  # each start finds what the one before it left
        with _held(control, key) as old:
            assert not there(old), moment
            up = subprocess.Popen(
                [*FAB, "up", *flags],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"TMPDIR": str(temporary)},
            )
            while not there(old) and up.poll() is None:
                pass
            assert there(old), moment  # if `up` was faster than we look, its lab is whole
        family.look()
        up.send_signal(number)
        up.wait()
        assert fab("down", *flags).stdout in ("no lab was up\n", "the lab is down\n"), moment
        assert family.gone_within(LIMIT_S), moment
        assert family.leftovers() == [], moment
        assert list(temporary.iterdir()) == [], moment
    again = fab("up", *flags)  # nothing stands in its way
    assert again.stdout.count("running") == 3, again.stderr
    assert fab("down", *flags).stdout == "the lab is down\n"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_lab_whose_clone_is_removed_ends(inventory: Path, family: Family, provider: str) -> None:
    """And only then: what else is removed from its folder is nothing to it."""
    folder = lab_folder.folder(provider, load(inventory))
    assert fab("up", "--provider", provider, "--inventory", inventory).returncode == 0
    family.look()
    (folder / "key").unlink()
    with contextlib.closing(Client(_connected(inventory, provider))) as client:
        client.greet()
        assert set(client.ask("status")["machines"].values()) == {"running"}
    shutil.rmtree(folder)
    assert family.gone_within(LIMIT_S)
    assert family.leftovers() == []


@pytest.mark.slow
@pytest.mark.parametrize("killed", ["supervisor", "first process"])
def test_a_loopback_lab_that_is_killed_leaves_no_files(
    inventory: Path, family: Family, killed: str
) -> None:
    temporary = inventory.with_name("temporary")
    temporary.mkdir()
    flags = ("--provider", "loopback", "--inventory", inventory)
    done = fab("up", *flags, environment={"TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir())
    with contextlib.closing(Client(_connected(inventory, "loopback"))) as client:
        supervisor = client.greet()["supervisor"]
    (first,) = [pid for pid in descendants(supervisor) if descendants(pid)]
    family.look()
    os.kill({"supervisor": supervisor, "first process": first}[killed], signal.SIGKILL)
    assert family.gone_within(LIMIT_S)
    assert family.leftovers() == []
    assert list(temporary.iterdir()) == []
    assert "not up" in fab("status", *flags).stdout


def test_blocks_of_any_size_do_not_overlap() -> None:
    wide = [Block("10.0.0.0/16") for _ in range(20)]
    narrow = [Block("10.0.0.0/24") for _ in range(200)]
    wide += [Block("10.0.0.0/20") for _ in range(20)]
    taken = {block.address("10.0.0.1").rpartition(".")[0] for block in narrow}
    assert len(taken) == 200
    large = {block.address("10.0.0.1").rsplit(".", 2)[0] for block in wide}
    assert len(large) == 40
    assert large.isdisjoint(address.rpartition(".")[0] for address in taken)
    del wide, narrow
