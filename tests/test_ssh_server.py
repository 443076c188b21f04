"""The machines' own SSH server: every byte arrives, and no client affects another."""

import contextlib
import hashlib
import queue
import random
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest
from command import PROJECT
from paramiko import common

from pushpull.machines.connection import connect
from pushpull.machines.inventory import load
from pushpull.machines.providers import namespaces
from pushpull.machines.providers.base import Access
from pushpull.machines.remote import Remote

MB = 1_000_000
# Prints so many bytes of every value on stdout, and others on stderr, both at the same time.
NOISE = """
import os, random, sys, threading
def pour(fd, seed):
    data = random.Random(seed).randbytes(int(sys.argv[1]))
    while data:
        data = data[os.write(fd, data[:50_000]):]
threads = [threading.Thread(target=pour, args=(fd, fd)) for fd in (1, 2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """How a machine is reached."""
    path = shutil.copy(PROJECT / "inventory.yaml", tmp_path_factory.mktemp("lab"))
    with namespaces.Namespaces(load(Path(path))).lab(keep=False) as machines:
        yield machines.access["push"]


@pytest.fixture
def wire(access: Access) -> Iterator[paramiko.Transport]:
    """A connection to it."""
    with contextlib.closing(connect(access)) as connection:
        yield connection.transport


def command(wire: paramiko.Transport, *lines: str) -> paramiko.Channel:
    """Start a shell script."""
    channel = wire.open_session(timeout=20)
    channel.settimeout(60)
    channel.exec_command("\n".join(lines))
    return channel


def python(access: Access, code: str, *arguments: object) -> str:
    """Return the shell command that runs this code on the machine."""
    return f"exec {access.python} -Ic '{code}' {' '.join(map(str, arguments))}"


def everything(channel: paramiko.Channel) -> tuple[int, bytes, bytes]:
    """Return a command's exit status and what it prints on both streams."""
    errors: list[bytes] = []
    reader = threading.Thread(target=lambda: errors.append(drain(channel.recv_stderr)))
    reader.start()
    output = drain(channel.recv)
    reader.join()
    return channel.recv_exit_status(), output, errors[0]


def drain(receive) -> bytes:
    return b"".join(iter(lambda: receive(65536), b""))


def noise(size: int, stream: int) -> bytes:
    return random.Random(stream).randbytes(size)


# --- Every byte. ----------------------------------------------------------------------------------


def test_ten_megabytes_of_any_bytes_on_both_streams(
    wire: paramiko.Transport, access: Access
) -> None:
    status, output, errors = everything(command(wire, python(access, NOISE, 10 * MB)))
    assert status == 0
    assert digest(output) == digest(noise(10 * MB, 1))
    assert digest(errors) == digest(noise(10 * MB, 2))


def digest(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.sha256(data).hexdigest()


def test_input_and_its_end(wire: paramiko.Transport) -> None:
    channel = command(wire, "cat; echo end; exit 5")
    data = noise(MB, 3)

    def send() -> None:
        channel.sendall(data)
        channel.shutdown_write()

    threading.Thread(target=send).start()
    assert everything(channel) == (5, data + b"end\n", b"")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("true", 0),
        ("exit 1", 1),
        ("exit 255", 255),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
        ("no-such-command 2>/dev/null", 127),
    ],
)
def test_exit_status(wire: paramiko.Transport, script: str, status: int) -> None:
    assert everything(command(wire, script)) == (status, b"", b"")


def test_a_command_that_closes_its_output(wire: paramiko.Transport) -> None:
    assert everything(command(wire, "echo on; exec >&- 2>&-; sleep 0.2; exit 7")) == (
        7,
        b"on\n",
        b"",
    )


def test_what_a_client_sends_to_be_ignored_is_ignored(wire: paramiko.Transport) -> None:
    for count in (None, 1, 4000):
        wire.send_ignore(count)
    assert everything(command(wire, "echo on")) == (0, b"on\n", b"")


def test_many_commands_at_once(wire: paramiko.Transport) -> None:
    channels = [command(wire, f"read line; echo {n} $line; exit {n}") for n in range(60)]
    for channel in channels:  # all of them run at this moment
        channel.sendall(b"go\n")
    for n, channel in enumerate(channels):
        assert everything(channel) == (n, f"{n} go\n".encode(), b"")


# --- A terminal. ----------------------------------------------------------------------------------


def test_a_terminal_and_its_size(wire: paramiko.Transport, access: Access) -> None:
    told = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print(*os.get_terminal_size(), os.environ["TERM"], os.isatty(0), flush=True)
signal.sigwait({signal.SIGWINCH})
print(*os.get_terminal_size())
"""
    channel = wire.open_session()
    channel.settimeout(60)
    channel.get_pty("vt100", 80, 24)
    channel.exec_command(python(access, told))
    output = channel.makefile("rb")
    assert output.readline() == b"80 24 vt100 True\r\n"
    channel.resize_pty(132, 50)
    assert output.readline() == b"132 50\r\n"
    assert channel.recv_exit_status() == 0


def test_a_shell_on_a_terminal(wire: paramiko.Transport) -> None:
    channel = wire.open_session()
    channel.settimeout(60)
    channel.get_pty()
    channel.invoke_shell()
    channel.sendall(b"echo $((6 * 7)); tty; exit 3\n")
    shown = drain(channel.recv)
    assert b"42\r\n" in shown
    assert b"/dev/pts/" in shown
    assert channel.recv_exit_status() == 3


def test_a_terminal_hangs_up(wire: paramiko.Transport, access: Access) -> None:
    channel = wire.open_session()
    channel.settimeout(60)
    channel.get_pty()
    channel.exec_command("echo $$; exec sleep 1000")
    pid = int(channel.makefile("rb").readline())
    channel.close()
    assert gone(wire, access, pid)


# --- Any client. ----------------------------------------------------------------------------------


def gone(wire: paramiko.Transport, access: Access, pid: int) -> bool:
    """Wait until a process of the machine has ended, ten seconds at most."""
    code = """
import os, select, sys
try:
    ended = os.pidfd_open(int(sys.argv[1]))
    sys.exit(not select.select([ended], [], [], 10)[0])
except ProcessLookupError:
    pass
"""
    return everything(command(wire, python(access, code, pid)))[0] == 0


@pytest.mark.parametrize("seed", range(3))
def test_channels_closed_at_random_do_not_affect_others(
    wire: paramiko.Transport, access: Access, seed: int
) -> None:
    chance = random.Random(seed)
    careful = [command(wire, python(access, NOISE, MB)) for _ in range(3)]
    results: list[tuple[int, bytes, bytes]] = []
    readers = [
        threading.Thread(target=lambda c=channel: results.append(everything(c)))
        for channel in careful
    ]
    for reader in readers:
        reader.start()
    for _ in range(30):
        flood = command(wire, chance.choice(["exec yes", "yes >&2", "yes | cat", "cat /dev/zero"]))
        for _ in range(chance.randrange(4)):
            if flood.recv_ready():
                flood.recv(chance.randrange(1, 100_000))
        chance.choice([flood.close, flood.shutdown_write, flood.shutdown_read])()
        flood.close()
    for reader in readers:
        reader.join()
    expected = (0, digest(noise(MB, 1)), digest(noise(MB, 2)))
    assert [(s, digest(out), digest(err)) for s, out, err in results] == [expected] * 3
    assert everything(command(wire, "echo still here")) == (0, b"still here\n", b"")


@pytest.mark.parametrize("script", ["exit 3", "exec yes", "exec cat"])
@pytest.mark.parametrize("kind", ["WINDOW_ADJUST", "EOF", "CLOSE", "DATA", "REQUEST"])
def test_last_words_on_a_channel_that_is_closed_cost_no_other(
    wire: paramiko.Transport, script: str, kind: str
) -> None:
    """Paramiko sends them where the end of a channel overtakes the thread that reads from it."""
    other = command(wire, "read line; echo $line")
    channel = command(wire, script)
    number = channel.remote_chanid
    if script == "exit 3":
        assert everything(channel) == (3, b"", b"")
    if script != "exec cat":
        channel.close()
    channel.shutdown_write()
    late = paramiko.Message()
    late.add_byte(getattr(common, f"cMSG_CHANNEL_{kind}"))
    late.add_int(number)
    if kind == "WINDOW_ADJUST":
        late.add_int(100_000)
    elif kind == "DATA":
        late.add_string(b"late")
    elif kind == "REQUEST":
        late.add_string("exec")
        late.add_boolean(False)
        late.add_string("echo late")
    wire._send_user_message(late)
    other.sendall(b"still here\n")
    assert everything(other) == (0, b"still here\n", b"")
    assert everything(command(wire, "echo and here")) == (0, b"and here\n", b"")


def test_what_flooded_a_closed_channel_ends(wire: paramiko.Transport, access: Access) -> None:
    flood = command(wire, "echo $$; exec yes")
    pid = int(flood.makefile("rb").readline())
    flood.close()
    assert gone(wire, access, pid)


@pytest.mark.parametrize("script", ["exec cat", "exec yes", "exec yes >&2", "exec sleep 1000"])
def test_a_client_that_vanishes(wire: paramiko.Transport, access: Access, script: str) -> None:
    connection = connect(access)
    channel = command(connection.transport, f"echo $$; {script}")
    pid = int(channel.recv(100).split()[0])
    connection.transport.sock.shutdown(socket.SHUT_RDWR)  # and no goodbye
    assert gone(wire, access, pid)
    connection.close()


def test_a_client_that_vanishes_takes_daemons_with_it(
    wire: paramiko.Transport, access: Access
) -> None:
    """They are under the launcher, as programs of an experiment are."""
    remote = Remote(access)
    remote.deploy("daemons", {})
    said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    script = "(setsid sh -c 'echo $$; exec sleep 1000' &) ; sleep 1000"
    remote.start(
        "daemons",
        "daemons",
        ["sh", "-c", script],
        {},
        stdout=said.put,
        stderr=said.put,
        ended=lambda *_: None,
    )
    pid = int(said.get(timeout=60))
    remote._connection.transport.sock.shutdown(socket.SHUT_RDWR)
    assert gone(wire, access, pid)
    remote.close()


def test_clients_that_do_not_speak_ssh(wire: paramiko.Transport, access: Access) -> None:
    with contextlib.ExitStack() as stack:
        for words in (b"", b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-x\r\n" + bytes(300), b"\xff" * 999):
            for _ in range(5):
                peer = stack.enter_context(socket.create_connection((access.host, access.port)))
                peer.sendall(words)
        assert everything(command(wire, "echo here")) == (0, b"here\n", b"")
        with contextlib.closing(connect(access)) as another:
            assert everything(command(another.transport, "echo too")) == (0, b"too\n", b"")


def test_files_are_transferred_completely(wire: paramiko.Transport) -> None:
    data = noise(3 * MB, 7)
    with paramiko.SFTPClient.from_transport(wire) as files:
        with files.open("/tmp/home/file", "wb") as file:
            file.write(data)
        with files.open("/tmp/home/file") as file:
            assert digest(file.read()) == digest(data)
