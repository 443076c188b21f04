"""An experiment with planned faults, as a folder of its own: the text of another, with few changes.

So the result of a search reads like any other experiment, and runs without the search.
"""

import ast
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core.errors import LabError
from pushpull.core.faults.fault import Scope
from pushpull.core.faults.planned import Schedule, as_code
from pushpull.core.os_errors import file_errors
from pushpull.engine.experiment import Claim, Experiment
from pushpull.experiments import catalogue
from pushpull.runs.directory import MODULE


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """What is to be written.

    Attributes:
        experiment: with one variant, which is the one to play.
        claim: the only one that stays.
        schedule: the faults.
        count, interval: of the messages; what a user would give on the command line.
        about: the text above the experiment's own description.
    """

    experiment: Experiment
    claim: Claim
    schedule: Schedule
    count: int
    interval: float
    about: str = ""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of `@experiment` that differ from the original's, or must be given."""
        (variant,) = self.experiment.variants
        network = {f.fault for f in self.schedule if f.value.scope is not Scope.PROCESS}
        given: dict[str, Any] = {"count": self.count, "interval": self.interval}
        if faults := sorted({*self.experiment.faults.get(variant, ()), *network}):
            given["faults"] = tuple(faults)
        if variant:
            given["variants"] = (variant,)
        if self.experiment.uses is not None:
            uses = self.experiment.uses[variant]
            given["uses"] = {name: [*what] for name, what in uses.items()}
        return given


def write(wanted: Scheduled, folder: Path, put: Callable[[Path, Path], object]) -> None:
    """Write an experiment into a new folder.

    Arguments:
        wanted: what to write.
        folder: where; its name becomes the experiment's.
        put: takes a file of the original and its place, for those beside the module.

    Raises:
        LabError: the module's scenario has a form in which no line can be added, or the folder
            can't be written.
    """
    experiment = wanted.experiment
    with file_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in catalogue.files(experiment).items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            put(path.resolve(), place)
        (folder / MODULE).write_text(text(wanted, experiment.file.read_text()))


def copied(source: Path, place: Path) -> None:
    """Copy a file, for `write`."""
    shutil.copy2(source, place)


def linked(source: Path, place: Path) -> None:
    """Link to a file, for `write`."""
    place.symlink_to(source)


def text(wanted: Scheduled, source: str) -> str:
    """Return the text of the experiment's module with the schedule; see `write`."""
    tree = ast.parse(source)
    lines = source.split("\n")
    scenario = _function(tree, wanted.experiment.scenario.__name__, wanted.experiment)
    changes: dict[tuple[int, int], list[str]] = {}  # by lines from and to, from 0, to is excluded
    first = tree.body[0]
    if _is_text(first):
        changes[first.lineno - 1, first.end_lineno or 0] = _described(
            wanted, ast.get_docstring(tree)
        )
    else:
        changes[0, 0] = _described(wanted, None)
    (mark,) = [d for d in scenario.decorator_list if _names(d, "experiment")]
    changes[mark.lineno - 1, mark.end_lineno or 0] = _mark(mark, wanted, source)
    body = [one for one in scenario.body if not _is_text(one)] or scenario.body
    begin = body[0]
    if begin.lineno == scenario.lineno or len(scenario.args.args) != 1:
        raise LabError(
            "no fault can be added to a scenario on a single line, or with several arguments",
            where=str(wanted.experiment.file),
            hint="write its body below its first line",
        )
    indent, lab = lines[begin.lineno - 1][: begin.col_offset], scenario.args.args[0].arg
    calls = [f"{indent}{fault.as_call(lab)}" for fault in wanted.schedule]
    changes[begin.lineno - 1, begin.lineno - 1] = calls
    kept = wanted.claim.judge.__name__
    for other in tree.body:
        if isinstance(other, ast.FunctionDef) and other.name != kept:
            marks = [d for d in other.decorator_list if _names(d, "claim")]
            if marks:
                changes[marks[0].lineno - 1, other.end_lineno or 0] = []
    for (start, end), instead in sorted(changes.items(), reverse=True):
        lines[start:end] = instead
    return "\n".join(lines).rstrip() + "\n"


def _function(tree: ast.Module, name: str, experiment: Experiment) -> ast.FunctionDef:
    for one in tree.body:
        if isinstance(one, ast.FunctionDef) and one.name == name:
            return one
    raise LabError(
        f"the scenario '{name}' isn't a function marked @experiment(...) in its own module",
        where=str(experiment.file),
        hint="write it so, for `fab search` adds the faults to its text",
    )


def _names(decorator: ast.expr, name: str) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (isinstance(called, ast.Name) and called.id == name) or (
        isinstance(called, ast.Attribute) and called.attr == name
    )


def _is_text(one: ast.stmt) -> bool:
    return (
        isinstance(one, ast.Expr)
        and isinstance(one.value, ast.Constant)
        and isinstance(one.value.value, str)
    )


def _mark(mark: ast.expr, wanted: Scheduled, source: str) -> list[str]:
    """Return the lines of the decorator, with other arguments."""
    assert isinstance(mark, ast.Call)
    given = {name: as_code(value) for name, value in wanted.arguments.items()}
    written = [
        (word.arg, ast.get_source_segment(source, word.value) or "")
        for word in mark.keywords
        if word.arg not in given and (word.arg != "faults" or not wanted.arguments.get("variants"))
    ]
    words = [f"{name}={value}" if name else f"**{value}" for name, value in written]
    words += [f"{name}={value}" for name, value in given.items()]
    called = ast.get_source_segment(source, mark.func)
    return "\n".join([f"@{called}(", *(f"    {word}," for word in words), ")"]).split("\n")


def _described(wanted: Scheduled, original: str | None) -> list[str]:
    texts = [*filter(None, [wanted.about, original])]
    whole = "\n\n".join(texts or [wanted.experiment.summary])
    return f'"""{_harmless(whole)}\n"""'.split("\n")


def _harmless(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")
