"""`provision/wheels/`: packages for provisioning machines without internet access."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.project import PROJECT, SHIPPED

FOLDER = PROJECT / "provision/wheels"
# Ubuntu 22.04, Debian 12, and all later ones, which share a wheel.
_PYTHONS = ("3.10", "3.11", "3.12")
_PROCESSORS = ("x86_64", "aarch64")


def fetch() -> list[Path]:
    """Download all packages into `provision/wheels/`, and return its files.

    They are pip and, for each Python and processor that a machine may have, the pyzmq of
    requirements.lock, with its hash checked. Raises LabError if a download fails, and then leaves
    the folder unchanged.
    """
    with tempfile.TemporaryDirectory(dir=FOLDER.parent, prefix="wheels-") as scratch:
        new = Path(scratch, "new")
        _download(new, "--python-version", _PYTHONS[0], "pip")
        lock = Path(scratch, "pyzmq.lock")
        lock.write_text("".join(_pyzmq()))
        for python in _PYTHONS:
            for processor in _PROCESSORS:
                where = ["--python-version", python, "--implementation", "cp"]
                for c_library in ("manylinux_2_28", "manylinux2014"):
                    where += ["--platform", f"{c_library}_{processor}"]
                _download(new, *where, "--require-hashes", "-r", str(lock))
        shutil.rmtree(FOLDER, ignore_errors=True)
        new.rename(FOLDER)
    return sorted(FOLDER.iterdir())


def _pyzmq() -> Iterator[str]:
    """Yield the lock file's lines about pyzmq, including continuation lines."""
    lines = iter((SHIPPED / "requirements.lock").read_text().splitlines(keepends=True))
    for line in lines:
        if line.startswith("pyzmq=="):
            yield line
            while line.endswith("\\\n"):
                yield (line := next(lines))
            return


def _download(folder: Path, *what: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-input", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), *what]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise LabError(
            "the wheels could not be downloaded; pip's last lines are below",
            where=str(FOLDER),
            hint="is the internet reachable?",
            output="\n".join(done.stderr.splitlines()[-5:]),
        )
