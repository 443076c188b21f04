"""What a whole run costs beyond its messages."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import commands, install, inventories, ssh_files
from benchmarks.commands import PROGRAMS
from benchmarks.frame import Benchmark, Contender, Figure, Figures, timed
from benchmarks.free_port import free_port
from pushpull.machines.inventory import load
from pushpull.machines.providers.base import Access
from pushpull.machines.providers.registry import choose

_COUNT, _INTERVAL = 20, 0.05
_OWN = _COUNT * _INTERVAL
_LIMIT_S = 120

_BEYOND = "beyond its messages"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="run",
        title=f"A run of {_COUNT} messages, {_INTERVAL} s apart, on three machines",
        figures=[Figure(name=_BEYOND, brief=True)],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with inventories.inventory() as file, inventories.up(file):
        provider = choose("namespaces", load(file), print)
        with provider.lab(keep=True) as machines:
            access = machines.access
        with inventories.inventory() as cold:
            yield [
                Contender(name="the lab", turn=lambda: _by_lab(cold)),
                Contender(
                    name="the lab, kept up",
                    turn=lambda: _by_lab(file),
                    differs="after `fab up`",
                ),
                Contender(
                    name="ducktape",
                    turn=lambda: _by_ducktape(access),
                    differs="the three machines are up, those of the lab; it has no claims, its "
                    "test compares the numbers; one message of its Paramiko is corrected",
                ),
                Contender(
                    name="by hand",
                    turn=_by_hand,
                    differs="three programs on this computer, no machines",
                ),
            ]


def _by_lab(inventory: Path) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--experiment", "round_robin", "--inventory", inventory]
        flags += ["--count", str(_COUNT), "--interval", str(_INTERVAL)]
        done = commands.run(commands.run_experiment(Path(folder), *flags), limit_s=_LIMIT_S)
        return {_BEYOND: done.seconds - _OWN}


def _by_ducktape(machines: Mapping[str, Access]) -> Figures:
    python = install.python_of("ducktape")
    with ssh_files.written(machines) as files, tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # ducktape writes where it is called, and wants its tests there
        test = shutil.copy(install.PEERS / "push_pull_test.py", folder)
        flags = ["--cluster", "ducktape.cluster.json.JsonCluster", "--cluster-file", files.cluster]
        settings = {
            "LAB_PYTHON": sys.executable,  # of the machines: it has pyzmq
            "LAB_PROGRAMS": str(PROGRAMS),
            "LAB_COUNT": str(_COUNT),
            "LAB_INTERVAL": str(_INTERVAL),
        }
        command = [python, "-m", "ducktape", *flags, test]
        done = commands.run(command, limit_s=_LIMIT_S, environment=settings, folder=folder)
        return {_BEYOND: done.seconds - _OWN}


def _by_hand() -> Figures:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        address = ["--address", f"tcp://127.0.0.1:{free_port()}"]

        def run() -> None:
            for number in (1, 2):
                pull = [sys.executable, PROGRAMS / "pull.py", *address]
                log = folder / f"pull-{number}"
                stack.enter_context(commands.ending(commands.started(pull, log, folder / "err")))
            push = [sys.executable, PROGRAMS / "push.py", *address]
            push += ["--count", str(_COUNT), "--interval", str(_INTERVAL)]
            pusher = commands.started(push, folder / "push", folder / "err")
            with commands.ending(pusher):
                pusher.wait(_LIMIT_S)

        return {_BEYOND: timed(run) - _OWN}
