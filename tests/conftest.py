"""What several test files share: the tools beyond Python.

Without one a test is skipped; `fab test` names the reason, and counts it as a failure in CI.
"""

import os
import pwd
import shlex
import shutil
import subprocess
from pathlib import Path

import debian
import pytest


@pytest.fixture(scope="session")
def debian_tools() -> Path:
    """The folder with the unpacked packages of debian-packages.txt; its `bin` holds the tools."""
    try:
        answer = os.environ.get("LAB_TEST_TOOLS") or str(debian.unpacked())
    except debian.UnavailableError as error:
        answer = str(error)
    if not Path(answer).is_dir():
        pytest.skip(answer)
    return Path(answer)


@pytest.fixture(scope="session")
def sshd_program(request: pytest.FixtureRequest) -> Path:
    """The OpenSSH server itself; for root it needs what `sshd_binary` gives it."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    return Path(found or request.getfixturevalue("debian_tools") / "bin/sshd")


@pytest.fixture(scope="session")
def sshd_binary(sshd_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OpenSSH server that runs as this user, with a configuration of your own: `-D -e -f FILE`.

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


def _sshd_for_root(sshd: Path, folder: Path) -> Path:
    accounts = Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/bin/false\n"
    names = [line.split(":")[0] for line in accounts.splitlines()]
    (folder / "passwd").write_text(accounts)
    (folder / "shadow").write_text("".join(f"{name}:*:1::::::\n" for name in names))
    here = shlex.quote(str(folder))
    inside = f"""mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/sshd &&
        mount --bind {here}/passwd /etc/passwd && mount --bind {here}/shadow /etc/shadow &&
        exec {shlex.quote(str(sshd))} "$@" """
    script = folder / "sshd"
    script.write_text(f'#!/bin/sh\nexec unshare --mount sh -c {shlex.quote(inside)} sshd "$@"\n')
    script.chmod(0o755)
    return script


@pytest.fixture(scope="session")
def user() -> str:
    """The name of the user who runs the tests."""
    return pwd.getpwuid(os.geteuid()).pw_name
