"""The computer on which benchmarks ran, and the lab's own version, for their result."""

import os
import platform
import re
import subprocess
import time
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


def busy(seconds: float = 1) -> float:
    """Return the share of the processors' time, 0 to 1, that other programs take just now.

    Not the load: what the benchmark before this one did is in it for minutes.
    """
    before = _idle_and_all()
    time.sleep(seconds)
    idle, everything = (now - then for now, then in zip(_idle_and_all(), before, strict=True))
    return round(1 - idle / everything, 2)


def _idle_and_all() -> tuple[int, int]:
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)  # proc(5): idle and iowait; guests are in user


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
