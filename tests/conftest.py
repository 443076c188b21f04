"""Fixtures for several test files: the tools besides Python.

Without one a test is skipped; `fab test` names the reason, and counts it as a failure in CI.
"""

import contextlib
import gc
import os
import pwd
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import debian
import pytest
from engine_play import impatient, play  # noqa: F401
from inventory_changes import inventory, mistakes  # noqa: F401
from launched import launch  # noqa: F401
from long_first import pytest_collection_modifyitems  # noqa: F401
from own_folder import folder  # noqa: F401

# A background job ignores Ctrl-C (and under `nohup` a closed terminal), and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--pictures", type=Path, help="the folder for the pictures that tests make")
    parser.addoption("--implementation", help="the one that tests/programs tries; else all")
    parser.addoption("--provider", help="the only provider that provider_contract.py tries")
    parser.addoption("--inventory", type=Path, help="the machines that it tries it on")


def pytest_configure() -> None:
    """Let every machine of the tests find the tools for network faults, even if only unpacked."""
    # As `./fab` does: each command that a test starts would compile the whole lab again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    system = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    if not all(shutil.which(tool, path=system) for tool in ("nft", "tc", "ip")):
        with contextlib.suppress(debian.UnavailableError):
            tools = _debian_tools()
            os.environ["PATH"] += f":{tools}/bin"
            os.environ["LAB_VISIBLE"] = str(tools)


def pytest_collection_finish() -> None:
    """Let no test's collection of garbage look through all tests and their modules once more."""
    gc.collect()
    gc.freeze()


def _debian_tools() -> Path:
    told = os.environ.get("LAB_TEST_TOOLS")
    if told and not Path(told).is_dir():
        raise debian.UnavailableError(told)
    return Path(told) if told else debian.unpacked()


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the lab remembers of the tests' experiments out of the user's home."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for pictures in the docs: a temporary one, unless --pictures names another."""
    asked: Path | None = request.config.getoption("--pictures")
    return asked or tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="session")
def debian_tools() -> Path:
    """The folder with the unpacked packages of debian-packages.txt; its `bin` holds the tools."""
    try:
        return _debian_tools()
    except debian.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def sshd_program(request: pytest.FixtureRequest) -> Path:
    """The OpenSSH server itself; for root it needs what `sshd_binary` gives it."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    return Path(found or request.getfixturevalue("debian_tools") / "bin/sshd")


@pytest.fixture(scope="session")
def sshd_binary(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OpenSSH server that runs as this user, with its own configuration: `-D -e -f FILE`.

    The configuration needs `HostKey`, `AuthorizedKeysFile` (full path), `PidFile none`, `UsePAM no`
    and `StrictModes no` (a test's folder may lie under a world-writable one). An unprivileged
    server lets only its own user in.

    As root sshd wants a user `sshd` and the folder /run/sshd, and lets no user in whose password
    is locked. The test machine may lack all three, so there the server gets its own view of these
    files, in a mount namespace.
    """
    if os.geteuid():
        return sshd_program
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("sshd as root needs a mount namespace, which is forbidden here")
    return _sshd_for_root(sshd_program, tmp_path_factory.mktemp("sshd"))


def _sshd_for_root(sshd: Path, into: Path) -> Path:
    accounts = Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/bin/false\n"
    names = [line.split(":")[0] for line in accounts.splitlines()]
    (into / "passwd").write_text(accounts)
    (into / "shadow").write_text("".join(f"{name}:*:1::::::\n" for name in names))
    here = shlex.quote(str(into))
    inside = f"""mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd &&
        mount --bind {here}/passwd /etc/passwd && mount --bind {here}/shadow /etc/shadow &&
        exec {shlex.quote(str(sshd))} "$@" """
    script = into / "sshd"
    script.write_text(f'#!/bin/sh\nexec unshare --mount sh -c {shlex.quote(inside)} sshd "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="session")
def user() -> str:
    """The name of the user who runs the tests."""
    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def chromium(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["BrowserContext"]:
    """A real Chromium with its own profile and without network access.

    Not for the session: while it lives, an event loop runs in this thread, and netlink needs one.
    """
    import browser  # playwright, which most tests do without

    found = shutil.which("chromium")
    binary = Path(found or request.getfixturevalue("debian_tools") / "bin/chromium")
    with browser.chromium(binary, tmp_path_factory.mktemp("chromium")) as context:
        yield context
