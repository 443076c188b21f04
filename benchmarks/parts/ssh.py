"""One command on many machines, from nothing connected to the last answer."""

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from benchmarks import commands, install, inventories, ssh_files
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures
from benchmarks.ssh_files import SSHFiles
from pushpull.machines.inventory import load
from pushpull.machines.pool import at_once, connected
from pushpull.machines.providers.base import Access, Machines
from pushpull.machines.providers.registry import choose

_SIZES = (60, 300)
_LIMIT_S = 120
_AT_ONCE = "16"  # as many as the lab

_Accesses = Mapping[str, Access]


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="ssh",
        title="One command on each machine of a lab, until the last answer",
        figures=[Figure(name=_on(size), brief=True) for size in _SIZES],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with inventories.inventory(pullers=max(_SIZES) - 1) as file:
        provider = choose("namespaces", load(file), print)
        with provider.lab(keep=False) as machines, ssh_files.written(machines.access) as files:
            parts = [dict(itertools.islice(machines.access.items(), size)) for size in _SIZES]
            yield [
                Contender(
                    name="the lab",
                    turn=lambda: _all(_by_lab(part) for part in parts),
                    differs="without the start of its interpreter",
                ),
                Contender(
                    name="OpenSSH's client",
                    turn=lambda: _all(_by_openssh(part, files) for part in parts),
                    differs=f"{_AT_ONCE} at once, by xargs",
                ),
                Contender(
                    name="parallel-ssh",
                    turn=lambda: _all(_by_parallel_ssh(part, files) for part in parts),
                    differs="without the start of its interpreter; it checks no host keys",
                ),
            ]


def _by_lab(machines: _Accesses) -> Figures:
    start = time.monotonic()
    with connected(Machines(machines)) as remotes:
        answers = at_once(remotes, lambda remote: remote.run(["hostname"]).decode().strip())
        took = time.monotonic() - start
    return _checked(machines, answers.values(), took)


def _by_openssh(machines: _Accesses, files: SSHFiles) -> Figures:
    names = files.config.with_name("names")
    names.write_text("\n".join(machines) + "\n")
    xargs = [install.tool("xargs"), "-a", names, "-P", _AT_ONCE, "-I{}"]
    command = [*xargs, install.tool("ssh"), "-F", files.config, "{}", "hostname"]
    done = commands.run(command, limit_s=_LIMIT_S)
    return _checked(machines, done.output.split(), done.seconds)


def _by_parallel_ssh(machines: _Accesses, files: SSHFiles) -> Figures:
    python, script = install.python_of("parallel-ssh"), install.PEERS / "parallel_ssh_run.py"
    user = next(iter(machines.values())).user or ""
    ports = [str(one.port) for one in machines.values()]
    done = commands.run([python, script, user, files.key, *ports], limit_s=_LIMIT_S)
    took, *names = done.output.split()
    return _checked(machines, names, float(took))


def _checked(machines: _Accesses, answers: Iterable[str], seconds: float) -> Figures:
    if sorted(answers) != sorted(machines):
        raise ContenderError("not every machine answered with its name")
    return {_on(len(machines)): seconds}


def _all(parts: Iterable[Figures]) -> Figures:
    return {name: value for part in parts for name, value in part.items()}


def _on(count: int) -> str:
    return f"{count} machines"
