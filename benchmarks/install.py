"""The alternatives to the lab, each installed into a cache by its own client.

`.venv/bin/python -m benchmarks.install` installs what is missing; a benchmark does so by itself.
The product's environment gets none of it.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.frame import ContenderError, say
from tests import debian

PEERS = Path(__file__).with_name("peers")  # what they install, and what they run
_INSTALL_S = 600


def python_of(name: str) -> Path:
    """Return the Python of an environment with the packages of `NAME.txt`, made if missing.

    Raises:
        ContenderError: it can't be installed on this computer; says why.
    """
    requirements = PEERS / f"{name}.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = _cache() / f"{name}-{key}"
    if not folder.exists():
        say(f"installing {name} into {folder}")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as scratch:
            made = Path(scratch, "env")
            _run(sys.executable, "-m", "venv", made)
            pip = (made / "bin/python", "-m", "pip", "--disable-pip-version-check", "install")
            _run(*pip, "--quiet", "--require-hashes", "-r", requirements)
            made.rename(folder)
    return folder / "bin/python"


@functools.cache
def debian_folder() -> Path:
    """Return the folder with the unpacked packages of `debian-packages.txt`.

    Raises:
        ContenderError: they can't be had on this computer; says why.
    """
    try:
        return debian.unpacked(PEERS / "debian-packages.txt")
    except debian.UnavailableError as error:
        raise ContenderError(str(error)) from error


def mininet() -> tuple[str, Mapping[str, str]]:
    """Return the Python that runs Mininet, and the environment in which it finds its parts."""
    root = debian_folder()
    tools = [str(root / place) for place in ("usr/bin", "usr/sbin", "sbin")]
    path = os.pathsep.join([*tools, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    python = shutil.which("python3", path="/usr/bin") or sys.executable  # for which it was packed
    modules = str(root / "usr/lib/python3/dist-packages")
    return python, {"PATH": path, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": ""}


def tool(name: str) -> str:
    """Return the path of a tool of the system; ContenderError if it is missing."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ContenderError(f"this computer has no {name}")
    return found


def versions() -> dict[str, str]:
    """Return the version of each contender, or why it can't be had."""
    asked: dict[str, Callable[[], str]] = {
        "ducktape": lambda: _package(python_of("ducktape"), "ducktape"),
        "parallel-ssh": lambda: _package(python_of("parallel-ssh"), "parallel-ssh"),
        "Mininet": _version_of_mininet,
        "OpenSSH client": lambda: _said(tool("ssh"), "-V").split(",")[0].removeprefix("OpenSSH_"),
        "sort and comm": lambda: _said(tool("sort"), "--version").splitlines()[0].split()[-1],
        "Fabric": lambda: _package(sys.executable, "fabric"),
        "AsyncSSH": lambda: _package(sys.executable, "asyncssh"),
        "pyzmq": lambda: _package(sys.executable, "pyzmq"),
    }
    found = {}
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except ContenderError as error:
            found[name] = f"not installed: {error}"
    return found


def _version_of_mininet() -> str:
    python, environment = mininet()
    return _said(python, "-c", "import mininet.net as n; print(n.VERSION)", env=environment)


def _package(python: str | Path, name: str) -> str:
    return _said(python, "-c", f"from importlib.metadata import version as v; print(v({name!r}))")


def _said(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        text=True,
        timeout=60,
    )
    if done.returncode:
        raise ContenderError((done.stdout.strip().splitlines() or ["no message"])[-1])
    return done.stdout.strip()


def _run(*command: str | Path) -> None:
    try:
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_S,
        )
    except subprocess.TimeoutExpired as error:
        raise ContenderError(f"not installed after {_INSTALL_S} s") from error
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise ContenderError(
            f"{Path(command[0]).name} failed, perhaps for want of a network: {last}"
        )


def _cache() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "push-pull-lab" / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    for name, version in versions().items():
        print(f"{name:15} {version}")
