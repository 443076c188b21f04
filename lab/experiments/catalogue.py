"""Finding experiments: those that come with the lab by their name, a user's own by its path."""

import contextlib
import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from lab import experiments
from lab.analysis.line_readers import nothing
from lab.core import user_code, user_modules
from lab.core.errors import LabError
from lab.core.names import is_name
from lab.core.records import Message, Reader, Record
from lab.core.verdict import Outcome
from lab.engine.experiment import Claim, Experiment, ExperimentMeta
from lab.engine.program import Program
from lab.experiments import old_names, user_folder
from lab.runs.directory import EXPERIMENT, MODULE
from lab.runs.store import StoredRun

_OURS = Path(experiments.__file__).parent
_PROGRAMS = Path(__file__).parent / "programs" / "pyzmq"


def names() -> list[str]:
    """Return the names of the lab's experiments, those that run by default first."""
    found = sorted(p.stem for p in _OURS.glob("*.py") if "\n@experiment(" in p.read_text())
    return [*experiments.DEFAULT, *(name for name in found if name not in experiments.DEFAULT)]


def load(wanted: str) -> Experiment:
    """Return the experiment of this name, or the one in this file or folder.

    `NAME:VARIANT` is the experiment with that variant alone. Raises LabError when there is none, or
    its module has a mistake (with the mistake's line).
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
    """Return an experiment's name or path, and the variant that is named with it, if one is.

    A path may have colons: what is there as it is has no variant.
    """
    name, colon, variant = wanted.rpartition(":")
    if not colon or "/" in variant or Path(wanted).exists():
        return wanted, None
    return name, variant


def of_run(stored: StoredRun) -> Experiment:
    """Return the experiment that a run is judged by; code of its own is run for that.

    That of a run that was made here lies where it lay; any other run has its own with it. Its name
    is the one that it had in the run, wherever its file lies now.

    Raises:
        LabError: the run's experiment isn't there, or has a mistake.
    """
    name = stored.description["experiment"]
    if (file := _made_here(stored) or carried(stored.path)) is not None:
        return _from_file(file, name)
    if name in names():
        return _of_the_lab(name)
    raise LabError(
        f"the run doesn't hold its experiment, '{name}'",
        where=str(stored.path),
        hint="judge it where it was made",
    )


def reader(stored: StoredRun) -> Reader:
    """Return what reads a run's lines as messages: its experiment's, if that is there.

    Of a run from elsewhere no code is run.
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
    """Return the module of the user's own experiment that a run holds, if it does."""
    file = run / EXPERIMENT / MODULE
    return file if file.is_file() else None


def own_files(experiment: Experiment) -> dict[str, Path]:
    """Return all files of a user's own experiment, its module among them; none of the lab's."""
    return {MODULE: experiment.file, **files(experiment)} if experiment.is_own else {}


def files(experiment: Experiment) -> dict[str, Path]:
    """Return the files that the experiment needs on every machine beside the lab's programs."""
    return user_folder.files(experiment.folder) if experiment.folder else {}


def programs(experiment: Experiment) -> dict[str, Program]:
    """Return the programs that the experiment can start, its own before the lab's."""
    found = {path.stem: Program(path.stem, path, ours=True) for path in _PROGRAMS.glob("*.py")}
    return found | (user_folder.programs(experiment.folder) if experiment.folder else {})


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
            hint="rename it: small letters, digits and _, at most 40",
        )
    return _from_file(file, name)


def _no_experiment(wanted: str) -> LabError:
    close = difflib.get_close_matches(wanted, names(), n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return LabError(
        f"there is no experiment '{wanted}'",
        hint=f"{hint}`fab experiments` lists them; one of your own is named by its folder",
    )


def _made_here(stored: StoredRun) -> Path | None:
    """Return the module by which a run was made, if that is on this computer.

    One inside of the run came with it: whoever made the run chose what it says.
    """
    module = stored.description.get("module")
    if module is None or "\0" in module:
        return None
    file = Path(module)
    with contextlib.suppress(OSError):  # a name longer than one can be
        outside = not file.resolve().is_relative_to(stored.path.resolve())
        if outside and file.is_file() and b"experiment(" in file.read_bytes():
            return file
    return None


def _of_the_lab(name: str) -> Experiment:
    module = importlib.import_module(f"lab.experiments.{name}")
    return _described(module, name, own=False)


def _from_file(file: Path, name: str) -> Experiment:
    """Return the experiment in a file; one called `experiment.py` has its folder with it."""
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
            f"a module has one scenario, this one has {len(scenarios)}",
            where=str(file),
            hint="mark one function with @experiment(source=...)",
        )
    scenario = scenarios[0]
    told: ExperimentMeta = scenario.__experiment__
    claims: list[Claim] = [judge.__claim__ for judge in _marked(module, "__claim__")]
    if own:
        _require_sound(told, claims, file, scenario)
    reads = told.reads
    return Experiment(
        name=name,
        summary=(module.__doc__ or name).strip().splitlines()[0],
        source=told.source,
        scenario=scenario,
        claims=tuple(claims),
        reads=_told_with_its_line(reads, scenario, file) if own and reads else reads,
        count=told.count,
        interval=told.interval,
        takes=told.takes,
        grace=told.grace,
        needs=told.needs,
        faults=told.faults,
        variants=told.variants,
        machines=told.machines,
        file=file,
        folder=file.resolve().parent if own and file.name == "experiment.py" else None,
        is_own=own,
    )


def _require_sound(
    told: ExperimentMeta, claims: Sequence[Claim], file: Path, scenario: object
) -> None:
    """Raise LabError where a user gave @experiment or @claim what is of another kind."""
    wrong = [
        f"@experiment({name}={getattr(told, name)!r})"
        for name, is_sound in _SOUND.items()
        if not is_sound(getattr(told, name))
    ]
    wrong += [
        f"@claim(...) of {claim.id}"
        for claim in claims
        if not isinstance(claim.expected, Outcome)
        or not all(isinstance(text, str) for text in (claim.statement, claim.source, claim.because))
    ]
    if wrong:
        raise user_code.mistake(
            LabError(f"{wrong[0]} is of the wrong kind", hint="see docs/own-experiment.md"),
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


_SOUND: Mapping[str, Callable[[object], bool]] = {
    "source": lambda value: isinstance(value, str),
    "reads": lambda value: value is None or callable(value),
    "count": lambda value: isinstance(value, int) and _is_from_0(value),
    "interval": _is_from_0,
    "takes": _is_from_0,
    "needs": _are_texts,
    "variants": lambda value: not isinstance(value, str) and _are_texts(value) and bool(value),
}


def _told_with_its_line(reads: Reader, scenario: object, file: Path) -> Reader:
    """Return a user's reader, whose mistakes are the user's wherever it is called.

    It reads a line as a terminal shows it: `record.text` is `record.shown` there.
    """

    def read(record: Record) -> Message | None:
        try:
            if record.shown != record.text:
                record = replace(record, text=record.shown)
            message = reads(record)
            if message is not None and not isinstance(message, Message):
                raise TypeError(f"`reads` returned {message!r}, no Message")
        except (Exception, SystemExit) as error:
            raise user_code.mistake(error, file, scenario) from error
        return message

    if scan := getattr(reads, "scan", None):  # of `lines(...)`, where no line can fail at once
        read.scan = scan  # type: ignore[attr-defined]
    return read


def _marked(module: ModuleType, mark: str) -> Iterator[Any]:
    for value in vars(module).values():
        if callable(value) and hasattr(value, mark) and value.__module__ == module.__name__:
            yield value
