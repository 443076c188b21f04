"""Labs for scripts and tests, which control a run from outside instead of by an experiment."""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pushpull.core.errors import LabError
from pushpull.core.names import is_name
from pushpull.core.project import PROJECT, SHIPPED
from pushpull.core.records import Event, Reader, Record
from pushpull.engine.build import Parts, Setting
from pushpull.engine.deploy import Removal, deployed
from pushpull.engine.experiment import Experiment
from pushpull.engine.program import LooseProgram, Program
from pushpull.engine.request import RunRequest, description
from pushpull.machines import inventory as inventories
from pushpull.machines import lab_folder, preflight
from pushpull.machines.inventory import Inventory
from pushpull.machines.inventory.schema import MAX_MACHINES
from pushpull.machines.pool import connected
from pushpull.machines.providers.base import Machines
from pushpull.machines.providers.registry import choose
from pushpull.machines.remote import Remote
from pushpull.runs.directory import RunDirectory

_L = TypeVar("_L", covariant=True)

NODES = "node"  # the role of machines that were only counted, and the beginning of their names
_NAME = "script_"  # so that no run of a script is taken for one of an experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a script wants of a run.

    Attributes:
        name: what the run is called, see `name_of`.
        folder: where the programs are that it starts by their paths.
        files: others of that folder, which are deployed beside them.
        reads: which lines are messages, as for `@experiment`.
        count, interval: what programs find in LAB_COUNT and LAB_INTERVAL; the numbers of messages
            are planned to be 0 to `count` - 1.
        patience_s: how long a wait may last after the last line, before it raises LimitReached.
    """

    name: str = ""
    folder: str | Path = "."
    files: Sequence[str | Path] = ()
    reads: Reader | None = None
    count: int = 0
    interval: float = 0.0
    patience_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Machines that are up and connected."""

    machines: Machines
    remotes: dict[str, Remote]


class Made(Protocol[_L]):
    """The class of a lab, which this module must not import, as that imports this."""

    def __call__(self, parts: Parts, *, variant: str, count: int, interval: float) -> _L: ...


@contextlib.contextmanager
def opened(
    lab: Made[_L],
    inventory: Inventory,
    *,
    provider: str = "auto",
    runs: str | Path = "runs",
    keep: bool = False,
    **wanted: Any,
) -> Iterator[_L]:
    """Bring machines up, and yield a lab on them, in a run of its own.

    Arguments:
        lab: makes it of its parts.
        inventory: its machines.
        provider: where they come from.
        runs: the folder of the run directories.
        keep: leave them up afterwards.
        wanted: the attributes of a Script.
    """
    script = Script(**({"name": Path(sys.argv[0]).stem} | wanted))
    with (
        machines_up(inventory, provider, keep=keep) as ready,
        lab_of(lab, script, ready, Path(runs)) as made,
    ):
        yield made


@contextlib.contextmanager
def machines_up(inventory: Inventory, provider: str, *, keep: bool = False) -> Iterator[Ready]:
    """Bring machines up for the block; with `keep` they stay up after it.

    Raises LabError if that fails, or if one is unsuitable for a run.
    """
    with (
        choose(provider, inventory, _say).lab(keep=keep) as machines,
        connected(machines) as remotes,
    ):
        if machines.foreign:
            preflight.require(remotes)
        yield Ready(machines=machines, remotes=remotes)


@contextlib.contextmanager
def lab_of(lab: Made[_L], script: Script, ready: Ready, root: Path) -> Iterator[_L]:
    """Begin a run on these machines; at the end of the block end its processes and repair all.

    Raises LabError if a machine can't take part, or if no run directory can be made below `root`.
    """
    request = _request(script)
    directory = RunDirectory.create(
        root, request.experiment.name, description(request, ready.remotes)
    )
    state = "interrupted"
    try:
        setting = Setting(
            machines=ready.machines,
            remotes=ready.remotes,
            directory=directory,
            view=_NoView(),
            meanwhile=_nothing,
        )
        with Removal(setting) as removal, deployed(request, setting, removal) as there:
            there.parts.monitor.begin()
            yield lab(there.parts, variant="", count=script.count, interval=script.interval)
        state = "finished"
    finally:
        directory.finish(state)


def found(path: str | Path | None) -> Inventory:
    """Load an inventory; by default the current folder's, or else the lab's own."""
    here = Path("inventory.yaml")
    return inventories.load(Path(path) if path else here if here.exists() else SHIPPED / here)


def counted(machines: int, *, owner: str = "") -> Inventory:
    """Return an inventory of so many machines: `node-1`, `node-2` and so on.

    Its file is kept in the project's `.lab`, for `ssh` and `down` of a lab that stays up. Each
    `owner` has a file, and so a lab, of its own.
    """
    if not 1 <= machines <= MAX_MACHINES:
        raise LabError(
            f"there can't be a lab of {machines} machines",
            hint=f"give a number from 1 to {MAX_MACHINES}",
        )
    file = PROJECT / ".lab" / "inventories" / f"{machines}-machines{owner and f'-{owner}'}.yaml"
    lab_folder.make(file.parent)
    text = f"machines:\n  {NODES}: {{role: {NODES}, address: 10.0.0.1, count: {machines}}}\n"
    text = f"network: 10.0.0.0/16\n{text}"
    written = file.with_suffix(f".{os.getpid()}")
    written.write_text(text)
    written.replace(file)  # another process may be reading it
    return inventories.load(file)


def name_of(text: str) -> str:
    """Return a valid name for a script's run, made of the name of a file or of a test."""
    plain = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    name = f"{_NAME}{plain}"[:40].rstrip("_")
    assert is_name(name)
    return name


def _request(script: Script) -> RunRequest:
    experiment = Experiment(
        name=name_of(script.name),
        summary="A run that a script controlled.",
        source="",
        scenario=_nothing,
        claims=(),
        file=Path(sys.argv[0] or "-"),
        folder=None,
        is_own=False,
        reads=script.reads,
        count=script.count,
        interval=script.interval,
        takes=0.0,
        grace=2.0,
        needs=(),
        faults={},
        variants=("",),
        machines={},
        uses=None,
        parameters={},
        versions={},
    )
    return RunRequest(
        experiment=experiment,
        programs=_Loose(Path(script.folder)),
        files={Path(file).name: Path(script.folder) / file for file in script.files},
        code={},
        implementation="",
        variant="",
        count=None,
        interval=None,
        options=(),
        packets=False,
        call="",
        command=shlex.join(sys.argv),
        patience_s=script.patience_s,
    )


class _Loose(Mapping[str, Program]):
    """The programs below a folder, by their paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Program:
        path = self._folder / name
        if not path.is_file():
            raise LabError(
                f"there is no program '{name}'",
                where=str(self._folder.resolve()),
                hint="give the path of a file, or the words of a command: ['sleep', '5']",
            )
        return LooseProgram(path.stem, path)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class _NoView:
    """Shows nothing: a script prints what it wants to."""

    def experiment(self, name: str, summary: str, seconds: float) -> None: ...

    def records(self, records: Sequence[Record]) -> None: ...

    def event(self, event: Event) -> None: ...


def _nothing(*_: object) -> None: ...


def _say(line: str) -> None:
    print(line, file=sys.stderr)
