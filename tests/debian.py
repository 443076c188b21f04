"""Unpacks the packages of debian-packages.txt, and what they need, into a cache; installs nothing.

apt works here on lists and locks of its own: it needs neither root nor fresh lists of the system.
`python tests/debian.py` prints the folder, or why there is none; its `bin` holds the tools.
"""

import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIST = Path(__file__).with_name("debian-packages.txt")


class UnavailableError(Exception):
    """The packages can't be had on this computer; says why."""


def unpacked(packages: Path = LIST) -> Path:
    """Return the folder with the unpacked packages of a list, made at the first call for it.

    Raises:
        UnavailableError: this is no Debian, or its package servers are out of reach.
    """
    if not shutil.which("apt-get"):
        raise UnavailableError("no apt-get on this system")
    with _locked_cache() as cache:
        # Libraries unpacked for one release of the system don't fit the next.
        parts = (packages, Path(__file__), Path("/etc/os-release"))
        key = hashlib.sha256(b"".join(part.read_bytes() for part in parts))
        folder = cache / f"debian-{key.hexdigest()[:16]}"
        if not folder.exists():
            _make(folder, packages)
    return folder


@contextmanager
def _locked_cache() -> Iterator[Path]:
    cache = _cache()
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for cache in (
        home / "push-pull-lab",
        LIST.parents[1] / ".cache",
    ):  # under `runuser`, HOME is another's
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(cache, os.W_OK):
            return cache
    raise UnavailableError(f"can't write to a cache in {home}")


def _make(folder: Path, packages: Path) -> None:
    names = [line.split("#")[0].strip() for line in packages.read_text().splitlines()]
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as scratch:
        root = Path(scratch, "root")
        for package in _download([name for name in names if name], Path(scratch)):
            _run("dpkg", "-x", str(package), str(root))
        _wrap_tools(root, folder)
        root.rename(folder)


def _download(names: list[str], scratch: Path) -> list[Path]:
    """Fetch the packages and those they depend on, less what the system has."""
    archives = scratch / "cache/archives"
    for place in (scratch / "state/lists/partial", archives / "partial"):
        place.mkdir(parents=True)
    shutil.copy("/var/lib/dpkg/status", scratch / "state/status")  # apt's lock lies beside it
    options = {
        "Dir::State": scratch / "state",
        "Dir::State::status": scratch / "state/status",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "",
        "Acquire::http::Timeout": 20,
    }
    apt = ["apt-get", "-q", "-y", *(f"-o{name}={value}" for name, value in options.items())]
    _run(*apt, "update")
    _run(*apt, "install", "--download-only", "--no-install-recommends", *names)
    return sorted(archives.glob("*.deb"))


def _run(*command: str) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        last = (done.stdout.splitlines() or ["no message"])[-1]
        raise UnavailableError(f"{command[0]} failed, perhaps for want of a network: {last}")


def _wrap_tools(root: Path, folder: Path) -> None:
    """Give each tool a script in `bin` that lets it find its libraries once `root` is `folder`."""
    root.joinpath("bin").mkdir(parents=True, exist_ok=True)
    libraries = {file.parent.relative_to(root) for file in root.glob("**/lib/**/lib*.so*")}
    path = shlex.quote(":".join(str(folder / place) for place in sorted(libraries)))
    # What is in usr/bin under that name is then a script that reads settings in /etc.
    programs = [file for file in root.glob("usr/lib/*/*") if file.name == file.parent.name]
    for tool in [*programs, *root.glob("usr/bin/*"), *root.glob("usr/sbin/*")]:
        script = root / "bin" / tool.name
        if tool.exists() and not script.exists():
            words = [str(folder / tool.relative_to(root))]  # sshd insists on a full path
            words += _parts_of_sshd(root, folder) if tool.name == "sshd" else []
            command = shlex.join(words)
            script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={path} exec {command} "$@"\n')
            script.chmod(0o755)


def _parts_of_sshd(root: Path, folder: Path) -> Iterator[str]:
    """Give the options that tell an sshd of OpenSSH 9.9 or later where its other programs are."""
    for option, name in (("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")):
        if (root / "usr/lib/openssh" / name).exists():
            yield f"-o{option}={folder}/usr/lib/openssh/{name}"


if __name__ == "__main__":
    try:
        print(unpacked())
    except UnavailableError as error:
        print(error)
