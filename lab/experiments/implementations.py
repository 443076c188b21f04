"""The implementations of the lab's programs, and the choice of those that play in a run."""

import functools
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.vocabulary import BROKER
from pushpull.engine.experiment import Experiment, Uses
from pushpull.engine.program import ProtocolProgram
from pushpull.experiments import manifest, protocol, user_folder
from pushpull.experiments.manifest import Manifest
from pushpull.experiments.protocol import SENDER

FOLDER = Path(__file__).parent / "programs"
DEFAULT = "pyzmq"
_FLAG = "--implementation"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whose programs play: those of one implementation, or by kind, the rest from DEFAULT."""

    of_kind: Mapping[str, str] = field(default_factory=dict)
    rest: str = DEFAULT

    def of(self, name: str) -> str:
        """Return whose program it is that is called so."""
        kind = protocol.KINDS[name]
        # A broker between is the sender's: who receives through it shares its wire.
        return self.of_kind.get(SENDER if kind == BROKER else kind, self.rest)

    def __str__(self) -> str:
        """Return what `--implementation` takes."""
        return ",".join(f"{kind}={name}" for kind, name in self.of_kind.items()) or self.rest


def names() -> list[str]:
    """Return the names of all implementations, the default one first."""
    found = sorted(file.parent.name for file in FOLDER.glob(f"*/{manifest.FILE}"))
    return sorted(found, key=lambda name: name != DEFAULT)


def titles() -> list[str]:
    """Return the names of all implementations, each followed by those with its versions."""
    return [
        title for name in names() for title in (name, *(f"{name}@{v}" for v in get(name).versions))
    ]


@functools.cache
def get(title: str) -> Manifest:
    """Return an implementation, as NAME or NAME@VERSION; the beginning of a version will do.

    Raises:
        LabError: there is none of this name or version, or its manifest has a mistake.
    """
    name, _, wanted = title.partition("@")
    if name not in names():
        raise LabError(
            f"there is no implementation '{name}'",
            where=_FLAG,
            hint=f"there are: {', '.join(names())}; to add one, see CONTRIBUTING.md",
        )
    one = manifest.load(FOLDER / name)
    if not wanted:
        return one
    begun = [version for version in one.versions if f"{version}.".startswith(f"{wanted}.")]
    return manifest.load(FOLDER / name, begun[0] if len(begun) == 1 else wanted)


def chosen(text: str) -> Choice:
    """Return what the user chose, as `NAME` or `sender=NAME,receiver=NAME`; empty is the default.

    A NAME may be followed by a version, as in `pyzmq@22.3.0`.

    Raises:
        LabError: there is no such implementation or kind, or two that are to talk can't.
    """
    if "=" not in text:
        choice = Choice(rest=get(text or DEFAULT).title)
    else:
        pairs = [part.strip().partition("=")[::2] for part in text.split(",")]
        kinds = list(dict.fromkeys(protocol.KINDS.values()))
        if wrong := [kind for kind, _ in pairs if kind not in kinds]:
            raise LabError(
                f"'{wrong[0]}' is no kind of program",
                where=_FLAG,
                hint=f"there are: {', '.join(kinds)}",
            )
        choice = Choice({kind: get(title).title for kind, title in pairs})
        if len(choice.of_kind) < len(pairs):
            raise LabError(f"'{text}' names a kind twice", where=_FLAG, hint="name each once")
    return choice


def programs(choice: Choice) -> dict[str, ProtocolProgram]:
    """Return the programs that play, by their names."""
    return {
        name: program
        for name in protocol.KINDS
        if (program := get(choice.of(name)).programs.get(name)) is not None
    }


def declared(
    found: Mapping[str, ProtocolProgram], experiment: Experiment
) -> dict[str, ProtocolProgram]:
    """Return the programs, each limited to what the experiment says that it uses, if it does."""
    if experiment.uses is None:
        return dict(found)
    limits: dict[str, set[str]] = {BROKER: set(protocol.required(BROKER))}
    for uses in experiment.uses.values():
        for name, features in uses.items():
            limits.setdefault(name, {"--set", *protocol.required(name)}).update(features)
    return {
        name: replace(program, declared=frozenset(limits[name]))
        for name, program in found.items()
        if name in limits
    }


def require_playable(experiment: Experiment, choice: Choice, options: Sequence[str]) -> None:
    """Refuse an experiment that these implementations can't play, before anything is started.

    Arguments:
        experiment: what it `uses` is looked for; of one that says nothing, `push` and `pull`.
        choice: whose programs are to play.
        options: socket options that the user wants besides, as NAME=VALUE.

    Raises:
        LabError: says what is missing, and what can be played instead.
    """
    missing_in = {v: lacking(experiment, v, choice) for v in experiment.variants}
    for variant, missing in missing_in.items():
        if missing:
            raise LabError(
                f"{_title(experiment, variant)} needs {missing}",
                where=f"{_FLAG} {choice}",
                hint=_instead(experiment, variant, missing_in),
            )
    for name in uses(experiment, experiment.variants[0]):
        offer = get(choice.of(name))
        for setting in options:
            if missing := _missing(offer, name, [setting.partition("=")[0]]):
                raise LabError(
                    f"'{setting}' is no socket option of '{offer.title}': it lacks {missing}",
                    where="--set",
                    hint=f"its options are in {FOLDER / offer.name / manifest.FILE}",
                )


def fingerprint(choice: Choice) -> str:
    """Return a hash of the folders of those that play."""
    whole = hashlib.sha256(str(choice).encode())
    for name in sorted({*choice.of_kind.values(), choice.rest}):
        for path in sorted((FOLDER / name.partition("@")[0]).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                whole.update(f"{path.relative_to(FOLDER)}\0".encode() + path.read_bytes())
    return whole.hexdigest()


def playing(experiments: Iterable[Experiment], choice: Choice) -> list[Manifest]:
    """Return the implementations whose programs these experiments start."""
    programs = {
        name
        for experiment in experiments
        for variant in experiment.variants
        for name in uses(experiment, variant)
        if experiment.uses is not None or choice != Choice() or not _own(experiment)
    }
    return [get(name) for name in sorted({choice.of(program) for program in programs})]


def _own(experiment: Experiment) -> bool:
    """Whether an experiment has programs of its own, and may need none of an implementation."""
    return experiment.folder is not None and bool(user_folder.programs(experiment.folder))


def uses(experiment: Experiment, variant: str) -> Uses:
    """Return which programs of the protocol a variant starts, each with what it needs of it."""
    if experiment.uses is None:
        return dict.fromkeys(("push", "pull"), ())
    return experiment.uses[variant]


def lacking(experiment: Experiment, variant: str, choice: Choice) -> str:
    """Return in words what an experiment needs and can't have; empty where it can be played."""
    used = uses(experiment, variant)
    for name, features in used.items():
        if missing := _missing(get(choice.of(name)), name, features):
            return f"{missing}, which '{choice.of(name)}' doesn't have"
    playing = [get(name) for name in dict.fromkeys(map(choice.of, used))]
    for one, other in itertools.combinations(playing, 2):
        if not {*one.wire} & {*other.wire}:
            return (
                f"programs that can talk to each other: '{one.title}' speaks"
                f" {' and '.join(one.wire)} on the wire, '{other.title}' {' and '.join(other.wire)}"
            )
    return ""


def _instead(experiment: Experiment, variant: str, missing_in: Mapping[str, str]) -> str:
    """Return what to do where a variant can't be played."""
    playable = [_title(experiment, one) for one, missing in missing_in.items() if not missing]
    if playable:
        return f"it can play: {', '.join(playable)}"
    able = [one for one in names() if not lacking(experiment, variant, Choice(rest=one))]
    return f"take one that can play it: {', '.join(able)}"


def _title(experiment: Experiment, variant: str) -> str:
    return f"{experiment.name}:{variant}" if variant else experiment.name


def _missing(one: Manifest, name: str, features: Iterable[str]) -> str:
    """Return in words what an implementation lacks for a program; empty where it lacks nothing."""
    if name not in one.programs:
        return f"the program `{name}`"
    missing = sorted({*features} - one.programs[name].offers)
    return f"{', '.join(missing)} of `{name}`" if missing else ""
