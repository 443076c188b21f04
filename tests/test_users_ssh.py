"""A user's own SSH: configurations, keys and shells as found in practice, and their errors."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from command import PROJECT, fab
from hosts import Hosts, hosts
from quick import rest_slow

from pushpull.core.errors import ExitCode

ONE = {"push": "192.168.0.161"}


@pytest.fixture(scope="module")
def up(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with hosts(tmp_path_factory.mktemp("hosts"), sshd_program, ONE) as lab:
        yield lab


def home_with(tmp_path: Path, config: str) -> dict[str, str]:
    """Make a home with this ssh_config, and return the environment that leads there."""
    (tmp_path / ".ssh").mkdir(exist_ok=True)
    (tmp_path / ".ssh/config").write_text(config)
    return {"HOME": str(tmp_path)}


def check(up: Hosts, environment: dict[str, str] | None = None, **changes: str) -> str:
    """Return what `fab check` says of a machine; its hint must not be to run `fab check`."""
    text = up.inventory().read_text()
    for old, new in changes.items():
        text = re.sub(rf"{old}: [^,}}]+", f"{old}: {new}", text)
    (up.folder / "inventory.yaml").write_text(text)
    flags = ("--provider", "ssh", "--inventory", up.folder / "inventory.yaml")
    done = fab("check", *flags, environment=environment)
    assert "Traceback" not in done.stderr, done.stderr
    said = done.stdout + done.stderr
    assert "`fab check`" not in said
    assert done.returncode == (ExitCode.MISTAKE if "✗" in said else ExitCode.EXPECTED), said
    return said


# -- configurations ----------------------------------------------------------------------------

UNREAD = {
    "equals sign": ("Match host=lab*\n  User lab\n", 1),
    "all and more": ("Host x\n  User y\n\nMatch all user root\n  Compression no\n", 4),
    "open quote": ('# hosts\nHost "my lab\n  User lab\n', 2),
    "no value": ("Host a\n  User\n", 2),
    "not text": ("Match \udcff\udcfe\n", 1),
}


@pytest.mark.parametrize("name", rest_slow(UNREAD))
def test_a_line_that_paramiko_can_not_read_is_named(up: Hosts, tmp_path: Path, name: str) -> None:
    text, line = UNREAD[name]
    environment = home_with(tmp_path, "")
    (tmp_path / ".ssh/config").write_bytes(text.encode(errors="surrogateescape"))
    said = check(up, environment)
    assert f"{tmp_path}/.ssh/config:{line}" in said


@pytest.mark.parametrize("task", rest_slow(["experiments", "status", "--list"]))
def test_without_hosts_of_the_users_it_is_not_read(tmp_path: Path, task: str) -> None:
    done = fab(task, environment=home_with(tmp_path, UNREAD["equals sign"][0]), cwd=PROJECT)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_embedded_lab_does_not_read_it(tmp_path: Path) -> None:
    environment = home_with(tmp_path, UNREAD["open quote"][0])
    done = fab("check", "--provider", "namespaces", environment=environment, cwd=PROJECT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "config",
    rest_slow(
        [
            "Host 127.0.0.1\n  ProxyJump none\nHost *\n  ProxyJump bastion.invalid\n",
            "Host 127.0.0.1\n  ProxyJump NONE\nHost *\n  ProxyCommand false\n",
            "Match exec true\n  Compression no\nMatch host elsewhere\n  Port 1\n",
        ]
    ),
    ids=["none before a jump host", "none before a command", "a match that is understood"],
)
def test_it_applies_as_for_ssh(up: Hosts, tmp_path: Path, config: str) -> None:
    assert "✗" not in check(up, home_with(tmp_path, config))


def test_a_jump_host_that_does_not_exist_is_named(up: Hosts, tmp_path: Path) -> None:
    said = check(up, home_with(tmp_path, "Host *\n  ProxyJump bastion.invalid\n"))
    assert "no SSH server answers at the jump host bastion.invalid:22" in said
    assert "ProxyJump in ~/.ssh/config" in said


def test_a_jump_host_that_can_not_connect_further_is_named(up: Hosts, tmp_path: Path) -> None:
    """The host itself, by another name, is the jump host; the machine is at a closed port."""
    config = f"Host 127.0.0.1\n  ProxyJump {os.environ.get('USER', 'root')}@localhost:{{}}\n"
    environment = home_with(tmp_path, config.format(up.ports["push"]))
    up.know("push")
    with (up.folder / "known_hosts").open("a") as file:
        file.write((up.folder / "known_hosts").read_text().replace("127.0.0.1", "localhost"))
    said = check(up, environment, port="1")
    assert f"the jump host localhost:{up.ports['push']}" in said


def test_a_proxy_command_that_fails_is_named(up: Hosts, tmp_path: Path) -> None:
    said = check(up, home_with(tmp_path, "Host *\n  ProxyCommand false\n"))
    assert "✗" in said


# -- keys ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys(up: Hosts) -> Iterator[Path]:
    """A folder with files that people name as their key, beside the right one."""
    folder = up.folder / "keys"
    folder.mkdir(exist_ok=True)
    key = asyncssh.read_private_key(up.folder / "client")
    key.write_private_key(folder / "locked", passphrase="a test's own")
    other = asyncssh.generate_private_key("ssh-rsa")
    other.write_private_key(folder / "locked-pem", "pkcs1-pem", passphrase="a test's own")
    key.write_public_key(folder / "public.pub")
    (folder / "words").write_text("my key\n")
    (folder / "damaged").write_bytes((up.folder / "client").read_bytes()[:90])
    with contextlib.suppress(FileExistsError):
        os.mkfifo(folder / "pipe")
    for name in ("locked", "locked-pem"):
        (folder / name).chmod(stat.S_IRUSR)
    yield folder
    for name in ("locked", "locked-pem"):
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    rest_slow(
        [
            ("locked", "is locked with a passphrase", "ssh-add"),
            ("locked-pem", "is locked with a passphrase", "ssh-add"),
            ("public.pub", "is a public key", "keys/public\n"),
            ("none", "No such file", "private key file"),
            (".", "is not a file", "private key file"),
            ("pipe", "is not a file", "private key file"),
            ("words", "is not a private key", "private key file"),
            ("damaged", "damaged", "private key file"),
        ]
    ),
)
def test_a_key_file_and_what_is_wrong_with_it(
    up: Hosts, keys: Path, name: str, what: str, hint: str
) -> None:
    said = check(up, {"SSH_AUTH_SOCK": ""}, key=f"keys/{name}")
    assert str(keys / name) in said
    assert what in said
    assert hint in said


# -- shells --------------------------------------------------------------------------------------


@contextlib.contextmanager
def shell(up: Hosts, script: str) -> Iterator[None]:
    """Let the host run commands by a login that does something first."""
    config = up.folder / "push/config"
    before = config.read_text()
    login = up.folder / "login"
    login.write_text(f"#!/bin/sh\n{script}\n")
    login.chmod(0o755)
    command = f"ForceCommand {login}" if "exec" in script or "exit" in script else script
    config.write_text(f"{before}\n{command}\n")
    try:
        yield
    finally:
        config.write_text(before)


GREETINGS = {
    "a line": "echo Welcome",
    "no line's end": "printf Welcome",
    "an answer": """echo '{"python": "Welcome"}'""",
    "escapes": r"printf '\033]52;c;V2VsY29tZQ==\007Welcome\n'",
}


@pytest.mark.parametrize("name", rest_slow(GREETINGS))
@pytest.mark.parametrize("task", ["check", "run-experiment"])
def test_a_greeting_is_never_taken_for_an_answer(
    up: Hosts, tmp_path: Path, name: str, task: str
) -> None:
    greeting = f'{GREETINGS[name]}\nexec sh -c "$SSH_ORIGINAL_COMMAND"'
    flags: tuple[object, ...] = ("--provider", "ssh", "--inventory", up.inventory())
    if task != "check":
        flags += ("--experiment", tmp_path / "own", "--runs", tmp_path / "runs")
        assert fab("new-experiment", "--path", tmp_path / "own").returncode == 0
    with shell(up, greeting):
        done = fab(task, *flags)
    said = done.stdout + done.stderr
    assert done.returncode == ExitCode.MISTAKE, said
    assert "this account's shell prints text before the answer (`" in said
    assert "Welcome" in said
    assert "\x1b" not in said
    assert "~/.bashrc" in said


def test_an_account_without_a_shell(up: Hosts) -> None:
    with shell(up, "exit 1"):
        assert "this account's shell runs no commands" in check(up)


def test_a_server_without_sftp(up: Hosts) -> None:
    config = up.folder / "push/config"
    before = config.read_text()
    config.write_text(before.replace("Subsystem sftp internal-sftp\n", ""))
    try:
        said = check(up)
    finally:
        config.write_text(before)
    assert "offers no SFTP" in said
    assert "Subsystem sftp internal-sftp" in said
