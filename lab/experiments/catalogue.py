"""Finds experiments: the lab's own by name, a user's own by path."""

import contextlib
import difflib
import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pushpull import experiments
from pushpull.analysis.line_readers import nothing
from pushpull.core import user_code, user_modules
from pushpull.core.errors import LabError
from pushpull.core.names import is_name
from pushpull.core.records import Message, Reader, Record
from pushpull.core.verdict import Outcome
from pushpull.engine.experiment import Claim, Experiment, ExperimentMeta, Uses
from pushpull.engine.program import Program
from pushpull.experiments import (
    expectations,
    implementations,
    old_names,
    run_here,
    user_folder,
)
from pushpull.experiments.implementations import Choice
from pushpull.experiments.protocol import KINDS
from pushpull.runs.directory import EXPERIMENT, MODULE
from pushpull.runs.store import StoredRun

_OURS = Path(experiments.__file__).parent
_PUSH_AND_PULL: Uses = {"push": (), "pull": ()}


@functools.cache
def names() -> Sequence[str]:
    """Return the names of the lab's experiments, the default ones first."""
    found = sorted(p.stem for p in _OURS.glob("*.py") if "\n@experiment(" in p.read_text())
    return (*experiments.DEFAULT, *(name for name in found if name not in experiments.DEFAULT))


def load(wanted: str) -> Experiment:
    """Return the experiment with this name, or the one in this file or folder.

    `NAME:VARIANT` is the experiment with only that variant. Raises LabError if there is none, or
    if its module has a mistake (with the line).
    """
    name, variant = split(wanted)
    experiment = _load(name)
    _require_known_faults(experiment)
    if variant is None:
        return experiment
    if variant not in experiment.variants:
        there = ", ".join(experiment.variants).strip(", ") or "none"
        raise LabError(f"'{name}' has no variant '{variant}'", hint=f"there are: {there}")
    return replace(experiment, variants=(variant,))


def split(wanted: str) -> tuple[str, str | None]:
    """Split an experiment's name or path from the variant, if one is given.

    A path may have colons: if the whole text is an existing path, there is no variant.
    """
    name, colon, variant = wanted.rpartition(":")
    if not colon or "/" in variant or Path(wanted).exists():
        return wanted, None
    return name, variant


def of_run(stored: StoredRun) -> Experiment:
    """Return the experiment that judges a run; this executes the experiment's own code.

    For a run that was made here, that is the original file; any other run carries its own copy. It
    gets the name that it had in the run, wherever its file is now. Its claims expect what is known
    of the run's implementation.

    Raises:
        LabError: the run's experiment doesn't exist, or has a mistake.
    """
    name = stored.description["experiment"]
    if (file := _made_here(stored) or carried(stored.path)) is not None:
        return expectations.of_run(_from_file(file, name), stored)
    if name in names():
        return expectations.of_run(_of_the_lab(name), stored)
    raise LabError(
        f"the run doesn't contain its experiment, '{name}'",
        where=str(stored.path),
        hint="judge it where it was made",
    )


def reader(stored: StoredRun) -> Reader:
    """Return the reader of a run's lines: its experiment's, if that exists here.

    This executes no code of a run from elsewhere.
    """
    name, file = stored.description["experiment"], _made_here(stored)
    try:
        if file is not None:
            return _from_file(file, name).reads or nothing
        if name in names() and carried(stored.path) is None:
            return _of_the_lab(name).reads or nothing
    except LabError:
        pass
    return nothing


def carried(run: Path) -> Path | None:
    """Return the module of the user's own experiment inside a run, if there is one."""
    file = run / EXPERIMENT / MODULE
    return file if file.is_file() else None


def own_files(experiment: Experiment) -> dict[str, Path]:
    """Return all files of a user's own experiment, including its module; none of the lab's."""
    return {MODULE: experiment.file, **files(experiment)} if experiment.is_own else {}


def files(experiment: Experiment) -> dict[str, Path]:
    """Return the files that the experiment needs on every machine besides the lab's programs."""
    return user_folder.files(experiment.folder) if experiment.folder else {}


def programs(experiment: Experiment, choice: Choice) -> dict[str, Program]:
    """Return the programs that the experiment can start; its own precede those that are chosen."""
    own = user_folder.programs(experiment.folder) if experiment.folder else {}
    return {**implementations.declared(implementations.programs(choice), experiment), **own}


def _load(wanted: str) -> Experiment:
    path = Path(wanted)
    file = path / MODULE if path.is_dir() else path
    if wanted in names() and not (path / MODULE).exists():
        return _of_the_lab(wanted)
    if not path.is_dir() and path.suffix != ".py":
        raise _no_experiment(wanted)
    if not file.is_file():
        raise LabError(
            "there is no experiment here", where=str(path), hint="name a folder with one"
        )
    there = file.resolve().parent.name if file.name == MODULE else file.stem
    name = there.lower().replace("-", "_")
    if not is_name(name) or name in names():
        why = "it has invalid characters"
        if name in names():
            why = "the lab already has an experiment of that name"
        raise LabError(
            f"'{name}' can't be the name of your experiment: {why}",
            where=str(path),
            hint="rename it: lower-case letters, digits and _, at most 40",
        )
    return _from_file(file, name)


def _no_experiment(wanted: str) -> LabError:
    close = difflib.get_close_matches(wanted, names(), n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return LabError(
        f"there is no experiment '{wanted}'",
        hint=f"{hint}`fab experiments` lists them; for your own, give its folder",
    )


def _made_here(stored: StoredRun) -> Path | None:
    """Return the module with which a run was made, if the user has run that on this computer.

    No other counts: whoever made the run chose what it names.
    """
    module = stored.description.get("module")
    if module is None or "\0" in module:
        return None
    file = Path(module)
    with contextlib.suppress(OSError):  # a name longer than one can be
        if file.is_file() and run_here.was_run(file):
            return file
    return None


def _of_the_lab(name: str) -> Experiment:
    module = importlib.import_module(f"pushpull.experiments.{name}")
    return _described(module, name, own=False)


def _from_file(file: Path, name: str) -> Experiment:
    """Return the experiment in a file; with one called `experiment.py` comes its folder."""
    old_names.install()
    try:
        module = user_modules.load(file, beside=file.name == MODULE)
    except (Exception, SystemExit) as error:
        raise user_code.mistake(error, file) from error
    return _described(module, name, own=True)


def _described(module: ModuleType, name: str, *, own: bool) -> Experiment:
    scenarios = list(_marked(module, "__experiment__"))
    file = Path(str(module.__file__))
    if len(scenarios) != 1:
        raise LabError(
            f"a module must have one scenario, this one has {len(scenarios)}",
            where=str(file),
            hint="mark one function with @experiment(source=...)",
        )
    scenario = scenarios[0]
    meta: ExperimentMeta = scenario.__experiment__
    claims: list[Claim] = [judge.__claim__ for judge in _marked(module, "__claim__")]
    if own:
        _require_sound(meta, claims, file, scenario)
    given = {field.name: getattr(meta, field.name) for field in fields(meta)}
    if own and meta.reads:
        given["reads"] = _with_mistakes_located(meta.reads, scenario, file)
    if not own and meta.uses is None:
        given["uses"] = dict.fromkeys(meta.variants, _PUSH_AND_PULL)
    if not own and not meta.machines:
        given["machines"] = dict.fromkeys(experiments.ROLES, 1)
    return Experiment(
        **given,
        name=name,
        summary=(module.__doc__ or name).strip().splitlines()[0],
        scenario=scenario,
        claims=tuple(claims),
        file=file,
        folder=file.resolve().parent if own and file.name == MODULE else None,
        is_own=own,
    )


def _require_sound(
    meta: ExperimentMeta, claims: Sequence[Claim], file: Path, scenario: object
) -> None:
    """Raise LabError if @experiment or @claim got an argument of the wrong type."""
    wrong = [
        f"@experiment({name}={getattr(meta, name)!r})"
        for name, is_sound in _SOUND.items()
        if not is_sound(getattr(meta, name))
    ]
    wrong += [
        f"@claim(...) of {claim.id}"
        for claim in claims
        if not isinstance(claim.expected, Outcome)
        or not all(isinstance(text, str) for text in (claim.statement, claim.source, claim.because))
    ]
    if wrong:
        raise user_code.mistake(
            LabError(f"{wrong[0]} is of the wrong type", hint="see docs/own-experiment.md"),
            file,
            scenario,
        )


def _require_known_faults(experiment: Experiment) -> None:
    """Raise LabError where an experiment that is to run needs faults that don't exist."""
    try:
        for variant in experiment.faults:
            experiment.faults_of(variant)
            if variant not in experiment.variants:
                raise LabError(
                    f"`faults` names the variant '{variant}', which does not exist",
                    hint=f"there are: {', '.join(experiment.variants).strip(', ') or 'none'}",
                )
    except LabError as error:
        raise user_code.mistake(error, experiment.file, experiment.scenario) from error


def _is_from_0(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 10**9


def _are_texts(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(text, str) for text in value)


def _names_programs(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() <= KINDS.keys()
        and all(not isinstance(each, str) and _are_texts(each) for each in value.values())
    )


_SOUND: Mapping[str, Callable[[object], bool]] = {
    "source": lambda value: isinstance(value, str),
    "reads": lambda value: value is None or callable(value),
    "count": lambda value: isinstance(value, int) and _is_from_0(value),
    "interval": _is_from_0,
    "takes": _is_from_0,
    "needs": _are_texts,
    "uses": lambda value: value is None or all(map(_names_programs, value.values())),  # type: ignore[attr-defined]
    "variants": lambda value: not isinstance(value, str) and _are_texts(value) and bool(value),
}


def _with_mistakes_located(reads: Reader, scenario: object, file: Path) -> Reader:
    """Wrap a user's reader so that its errors are reported as the user's mistakes.

    It reads a line as a terminal shows it: `record.text` is then `record.shown`.
    """

    def read(record: Record) -> Message | None:
        try:
            if record.shown != record.text:
                record = replace(record, text=record.shown)
            message = reads(record)
            if message is not None and not isinstance(message, Message):
                raise TypeError(f"`reads` returned {message!r} instead of a Message")
        except (Exception, SystemExit) as error:
            raise user_code.mistake(error, file, scenario) from error
        return message

    # Those of `lines(...)`, where no line can fail at once.
    for name in dir(reads):
        if not name.startswith("_"):
            setattr(read, name, getattr(reads, name))
    return read


def _marked(module: ModuleType, mark: str) -> Iterator[Any]:
    for value in vars(module).values():
        if callable(value) and hasattr(value, mark) and value.__module__ == module.__name__:
            yield value
