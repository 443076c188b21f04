"""How long until a lab is up, from the command on, and how much memory a machine has."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import commands, install, inventories
from benchmarks.commands import OWN_NAMESPACES
from benchmarks.frame import Benchmark, Contender, Figure, Figures, only
from pushpull.machines.inventory import load
from pushpull.machines.providers.embedded.provider import Embedded
from pushpull.machines.providers.registry import choose

_SIZES = (3, 100, 300)
_MANY = 1000
_UP_S = 240
_MEMORY = "memory of each"
_FLOOR = "fork, unshare and veth"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    without_ssh = "its hosts have no SSH server"
    yield Benchmark(
        name="labs",
        title="From the command until all machines of a lab are up",
        figures=[Figure(name=_up(size), brief=True) for size in _SIZES],
        contenders=lambda: only(
            Contender(name="the lab", turn=lambda: _at_all_sizes(_by_lab)),
            Contender(
                name="Mininet",
                turn=lambda: _at_all_sizes(_by_mininet),
                differs=f"{without_ssh}; its switch is the kernel's bridge",
            ),
            Contender(
                name=_FLOOR,
                turn=lambda: _at_all_sizes(_by_kernel),
                differs="nothing runs on them: what the kernel takes",
            ),
        ),
    )
    yield Benchmark(
        name="many-machines",
        title=f"A lab of {_MANY:,} machines",
        figures=[
            Figure(name=_up(_MANY), brief=True),
            Figure(name=_MEMORY, text="{:.1f} MB", brief=True),
        ],
        contenders=lambda: only(
            Contender(name="the lab", turn=lambda: _by_lab(_MANY, with_memory=True)),
            Contender(
                name=_FLOOR,
                turn=lambda: _by_kernel(_MANY, with_memory=True),
                differs="nothing runs on them: what the kernel takes",
            ),
        ),
    )


def _at_all_sizes(up: Callable[[int], Figures]) -> Figures:
    return {name: value for size in _SIZES for name, value in up(size).items()}


def _up(count: int) -> str:
    return f"{count:,} machines up"


def _by_lab(count: int, *, with_memory: bool = False) -> Figures:
    """Bring a lab up with `fab up`; its machines answer SSH then."""
    with inventories.inventory(pullers=count - 1) as file, inventories.up(file) as done:
        memory = {_MEMORY: _memory(file) / count} if with_memory else {}
        return {_up(count): done.seconds} | memory


def _by_mininet(count: int) -> Figures:
    python, environment = install.mininet()
    script = install.PEERS / "mininet_up.py"
    command = [*OWN_NAMESPACES, python, script, str(count)]
    done = commands.run(command, limit_s=_UP_S, environment=environment)
    return {_up(count): float(done.output.split()[-1]) - done.started}


def _by_kernel(count: int, *, with_memory: bool = False) -> Figures:
    script = install.PEERS / "floor.py"
    command = [*OWN_NAMESPACES, sys.executable, "-ISE", script, str(count)]
    done = commands.run([*command, install.tool("ip")], limit_s=_UP_S)
    at, memory = (float(word) for word in done.output.split())
    return {_up(count): at - done.started} | ({_MEMORY: memory / 1e6} if with_memory else {})


def _memory(file: Path) -> float:
    """Return how many MB all processes of a lab that is up have, shared ones in parts (PSS)."""
    provider = choose("namespaces", load(file), print)
    assert isinstance(provider, Embedded)
    with provider._found() as found:
        assert found is not None
        processes = _descendants(found.description["supervisor"])
    total = 0
    for pid in processes:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                total += int(line.split()[1]) * 1024 if line.startswith("Pss:") else 0
    return total / 1e6


def _descendants(root: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int(Path(entry.path, "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, seen = [root], 0
    while seen < len(found):
        found += children.get(found[seen], [])
        seen += 1
    return found
