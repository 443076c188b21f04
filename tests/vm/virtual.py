"""A copy of the project with three real VMs, in namespaces that end with the test process."""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vm import needs

from pushpull.machines import offline_packages

TOOLS = (
    "vagrant",
    "virsh",
    "libvirtd",
    "qemu-system-x86_64",
    "mmdebstrap",
    "grub-mkimage",
    "unshare",
)
BOX = "lab/debian-12"
_WORTH_TELLING_S = 0.5
_WIDEST = 78  # characters
table = [f"{'step':{_WIDEST}} seconds"]  # of what was done; whoever runs the tests prints it
_LONGEST_S = 600
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "wheels")


class VmLab:
    """Runs commands next to the VMs."""

    def __init__(self, folder: Path, inside: int) -> None:
        self.project = folder / "project"
        self.runs = folder / "runs"
        self._enter = ["nsenter", f"--target={inside}", "--net", "--mount", "--pid"]
        self._enter.append(f"--wd={self.project}")
        self.environment = os.environ | {
            "PYTHONPATH": str(self.project),
            "VAGRANT_HOME": str(folder / "home"),
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "VAGRANT_NO_COLOR": "1",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
        }

    def run(
        self, *command: object, inside: bool = True, title: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command beside the VMs, or outside as a user might by mistake.

        `title` names it in the table of steps; by default that shows its words.
        """
        words = [str(word) for word in command]
        began = time.monotonic()
        done = subprocess.run(
            [*(self._enter if inside else []), *words],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=_LONGEST_S,
        )
        step(title or " ".join(words), since=began)
        return done

    def started(self, *command: object) -> "subprocess.Popen[str]":
        """Start a command beside the VMs, in a process group of its own; its output is read."""
        return subprocess.Popen(
            [*self._enter, *map(str, command)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def vagrant(self, *words: str) -> str:
        """Run vagrant; return what it prints."""
        done = self.run("vagrant", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def fab(self, *words: object, inside: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the copy's `fab`."""
        title = f"fab {' '.join(map(str, words))}".replace(f" --runs {self.runs}", "")
        return self.run(*fab_command(*words), inside=inside, title=title)

    def run_experiment(self, *words: object, provider: str = "vagrant") -> Path:
        """Run an experiment that must come out as expected; return its run directory."""
        done = self.fab("run-experiment", *words, "--provider", provider, "--runs", self.runs)
        assert done.returncode == 0, done.stdout + done.stderr
        return (self.runs / "latest").resolve()

    def qemu(self, machine: str) -> int:
        """Return the process id, in the VMs' own table, of a machine's QEMU."""
        found = self.run("pgrep", "-f", f"guest=lab-[0-9a-f]*-{machine},").stdout.split()
        return int(found[0])


def step(what: str, *, since: float) -> None:
    """Add a step and its time to the table; `since` is its start on the monotonic clock."""
    took = time.monotonic() - since
    if took >= _WORTH_TELLING_S:
        table.append(f"{what[:_WIDEST]:{_WIDEST}} {took:7.1f}")


def seen(what: str) -> None:
    """Add to the table what the last step showed."""
    table.append(f"  {what}")


def fab_command(*words: object) -> list[str]:
    """Return the command line of the copy's `fab`, for the copy's environment."""
    return [sys.executable, "-P", "-m", "pushpull", *map(str, words)]


@contextlib.contextmanager
def vm_lab(folder: Path) -> Iterator[VmLab]:
    """Yield a lab whose VMs don't exist yet; it ends with the block or with this process."""
    box = _box()
    _copy_project(folder / "project")
    # It lives as long as our end of its standard input is open.
    with subprocess.Popen(
        [needs.HERE / "vmlab.sh", folder, "sh", "-c", "echo up; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as namespaces:
        assert namespaces.stdout
        assert namespaces.stdout.readline() == b"up\n"
        lab = VmLab(folder, _child(namespaces.pid))
        lab.vagrant("box", "add", "--name", BOX, str(box))
        yield lab


def _child(pid: int) -> int:
    """Return the first process in the namespaces that `unshare` (pid) made."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _not_copied(folder: str, names: list[str]) -> set[str]:
    own_runs = {"runs"} if Path(folder) == needs.PROJECT else set()  # lab/runs is code
    return _NOT_COPIED(folder, names) | own_runs


def _copy_project(copy: Path) -> None:
    shutil.copytree(needs.PROJECT, copy, ignore=_not_copied)
    inventory = copy / "inventory.yaml"
    text, changed = re.subn(r"vagrant: \{.*?\}", f"vagrant: {{box: {BOX}}}", inventory.read_text())
    assert changed == 1
    inventory.write_text(text)
    offline_packages.FOLDER, own = copy / "provision/wheels", offline_packages.FOLDER
    try:
        offline_packages.fetch()  # the VMs have no internet
    finally:
        offline_packages.FOLDER = own


def _box() -> Path:
    """Return the box, built at the first call for what it is made from."""
    made_from = b"".join(path.read_bytes() for path in sorted(needs.HERE.glob("box*.sh")))
    box = needs.cache() / f"box-{hashlib.sha256(made_from).hexdigest()[:16]}.box"
    with needs.locked("box"):
        if not box.exists():
            began = time.monotonic()
            subprocess.run([needs.HERE / "box.sh", box], check=True, stdout=subprocess.DEVNULL)
            step("box.sh", since=began)
    return box
