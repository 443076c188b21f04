"""Finding experiments: those that come with the lab by their name, a user's own by its path."""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import experiments, own, user_code
from lab.errors import LabError
from lab.experiment import Claim, Experiment, Told
from lab.names import is_name
from lab.program import Program
from lab.reading import nothing
from lab.records import Reader
from lab.runs import StoredRun

_OURS = Path(experiments.__file__).parent
_PROGRAMS = Path(__file__).parent / "programs"


def names() -> list[str]:
    """Return the names of the lab's experiments, those that run by default first."""
    found = sorted(p.stem for p in _OURS.glob("*.py") if "\n@experiment(" in p.read_text())
    return [*experiments.DEFAULT, *(name for name in found if name not in experiments.DEFAULT)]


def load(wanted: str) -> Experiment:
    """Return the experiment of this name, or the one in this file or folder.

    `NAME:VARIANT` is the experiment with that variant alone. Raises LabError when there is none, or
    its module has a mistake (with the mistake's line).
    """
    name, colon, variant = wanted.partition(":")
    experiment = _load(name)
    if colon and variant not in experiment.variants:
        there = ", ".join(experiment.variants).strip(", ") or "none"
        raise LabError(f"'{name}' has no variant '{variant}'", cure=f"there are: {there}")
    return replace(experiment, variants=(variant,)) if colon else experiment


def _load(wanted: str) -> Experiment:
    path = Path(wanted)
    if wanted in names():
        return _told_by(importlib.import_module(f"lab.experiments.{wanted}"), wanted, None)
    if path.is_dir():
        return _from_file(path / own.MODULE, path.resolve().name)
    if path.suffix == ".py":
        return _from_file(path, path.stem)
    close = difflib.get_close_matches(wanted, names(), n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise LabError(
        f"there is no experiment '{wanted}'",
        cure=f"{hint}`fab experiments` lists them; one of your own is named by its folder",
    )


def reader(stored: StoredRun) -> Reader:
    """Return what reads a run's lines as messages: its experiment's, if that is there."""
    description = stored.description
    try:
        experiment = load(description.get("module") or description["experiment"])
    except LabError:
        return nothing
    return experiment.reads or nothing


def programs(experiment: Experiment) -> dict[str, Program]:
    """Return the programs that the experiment can start, its own before the lab's."""
    found = {path.stem: Program(path.stem, path, ours=True) for path in _PROGRAMS.glob("*.py")}
    return found | (own.programs(experiment.folder) if experiment.folder else {})


def _from_file(path: Path, name: str) -> Experiment:
    if not path.is_file():
        raise LabError(
            "there is no experiment here", where=str(path), cure="name a folder with one"
        )
    name = name.lower().replace("-", "_")
    if not is_name(name):
        raise LabError(
            f"'{name}' can't be an experiment's name",
            where=str(path),
            cure="rename it: small letters, digits and _, at most 40",
        )
    spec = importlib.util.spec_from_file_location(f"own_experiment_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as an import would: dataclasses look their module up
    folder = path.resolve().parent
    sys.path.insert(0, str(folder))  # a module may have others beside it
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise user_code.mistake(error, path) from error
    return _told_by(module, name, folder)


def _told_by(module: ModuleType, name: str, folder: Path | None) -> Experiment:
    scenarios = list(_marked(module, "__experiment__"))
    file = str(module.__file__)
    if len(scenarios) != 1:
        raise LabError(
            f"a module has one scenario, this one has {len(scenarios)}",
            where=file,
            cure="mark one function with @experiment(source=...)",
        )
    scenario = scenarios[0]
    told: Told = scenario.__experiment__
    claims: list[Claim] = [judge.__claim__ for judge in _marked(module, "__claim__")]
    return Experiment(
        name=name,
        summary=(module.__doc__ or name).strip().splitlines()[0],
        source=told.source,
        scenario=scenario,
        claims=tuple(claims),
        reads=told.reads,
        count=told.count,
        interval=told.interval,
        takes=told.takes,
        grace=told.grace,
        needs=told.needs,
        faults=told.faults,
        variants=told.variants,
        machines=told.machines,
        file=Path(file),
        folder=folder,
    )


def _marked(module: ModuleType, mark: str) -> Iterator[Any]:
    for value in vars(module).values():
        if callable(value) and hasattr(value, mark) and value.__module__ == module.__name__:
            yield value
