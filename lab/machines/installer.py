"""Installs implementations of the lab's programs: here into a cache, elsewhere by a script.

One script does it everywhere, `agent/install.sh`. It needs no root, and changes nothing outside
the folder that it makes.
"""

import base64
import hashlib
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.installation import Installation
from pushpull.core.project import cache
from pushpull.core.vocabulary import IMPLEMENTATIONS

_SCRIPT = Path(__file__).parent / "agent/install.sh"
_ENVIRONMENT = "/opt/lab/venv/bin/python"
ENTER = "enter"  # a script in each folder: runs a command that finds what is installed there


def root() -> Path:
    """Return the folder of this computer's installations.

    Libraries of one release of the system, or for one Python, don't fit the next: each has its own.
    """
    system = Path("/etc/os-release")
    release = system.read_bytes() if system.exists() else platform.platform().encode()
    key = hashlib.sha256(release + f"{platform.machine()} {sys.version}".encode())
    return cache() / "implementations" / key.hexdigest()[:12]


def is_installed(one: Installation) -> bool:
    """Return whether this computer has it."""
    return not one.packages or os.access(root() / one.folder / ENTER, os.X_OK)


def install(one: Installation) -> Path:
    """Install it on this computer, if it isn't yet, and return its folder.

    Raises:
        LabError: it can't be installed; says why, and no part of it is left.
    """
    done = subprocess.run(
        ["sh", "-s"],
        input=script(one, str(root()), sys.executable),
        capture_output=True,
        text=True,
        errors="backslashreplace",
    )
    if done.returncode:
        lines = done.stderr.splitlines() or [f"the installation ended with {done.returncode}"]
        last = next((n for n, line in enumerate(lines) if line.startswith("install: ")), -1)
        raise LabError(
            lines[last].removeprefix("install: "),
            where=one.title,
            hint=" ".join(lines[last + 1 :]).strip() if last >= 0 else "",
            output="\n".join(lines[:last][-15:]) if last > 0 else "",
        )
    return root() / one.folder


def script(one: Installation, root: str = IMPLEMENTATIONS, python: str = _ENVIRONMENT) -> str:
    """Return the script that installs it on a machine.

    Arguments:
        one: what to install.
        root: the machine's folder of installations.
        python: the machine's lab Python.
    """
    return "".join([*_values(one, root, python), _SCRIPT.read_text("utf-8")])


def _values(one: Installation, root: str, python: str) -> Iterator[str]:
    packages = one.packages
    yield f"# Installs {one.title} for the push-pull lab.\n"
    for name, value in (
        ("root", root),
        ("folder", one.folder),
        ("python", packages.python or python),
        ("lab_python", python),
        ("debian", "\n".join(packages.debian)),
        ("suite", packages.suite),
        ("pypi", "\n".join(packages.pypi)),
        ("sdists", "\n".join(packages.sdists)),
        ("npm", "\n".join(packages.npm)),
    ):
        yield f"{name}={shlex.quote(value)}\n"
    yield "\nwrite_files() { # FOLDER\n    :\n"
    for name, path in one.files.items():
        content = base64.b64encode(path.read_bytes()).decode()
        yield f'    mkdir -p "$1/$(dirname {shlex.quote(name)})"\n'
        yield f'    printf %s {content} | base64 -d >"$1"/{shlex.quote(name)}\n'
    yield "}\n\nbuild() { # HERE PREFIX\n    :\n"
    for command in packages.build:
        words = " ".join(map(_word, command))
        yield f'    run {shlex.quote(command[0])} "$2/enter" {words}\n'
    yield "}\n\n"


def _word(word: str) -> str:
    """Return a word of a command for the shell, in which the folders are known only there."""
    quoted = shlex.quote(word)
    for placeholder, variable in (("{here}", "$1"), ("{prefix}", "$2"), ("{python}", "$python")):
        quoted = quoted.replace(placeholder, f"'\"{variable}\"'")
    return quoted
