"""The computer on which benchmarks ran, and the lab's own version, for their result."""

import os
import platform
import re
import subprocess
from pathlib import Path

from benchmarks.commands import PROJECT


def described() -> dict[str, str]:
    """Return what a reader must know of this computer, by name."""
    return {
        "processors": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{_memory_gb():.0f} GB",
        "kernel": f"{platform.system()} {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "Python": platform.python_version(),
    }


def load() -> float:
    """Return how many processes wanted a processor in the last minute, on average."""
    return round(os.getloadavg()[0], 1)


def revision() -> str:
    """Return the revision of the lab, with a + if files differ from it."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
