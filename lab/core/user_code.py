"""Mistakes in the code of users, told with their line."""

import traceback
from pathlib import Path

from lab.core import limits, user_modules
from lab.core.errors import LabError

_LAB = Path(__file__).parents[1]


class UserMistake(LabError):
    """What a user's own code raised, with its line."""


def mistake(error: BaseException, experiment_file: Path, what: object = None) -> LabError:
    """Return an exception that a user's own module raised as a mistake in it, with its line.

    Arguments:
        error: what was raised; a LabError keeps its words.
        experiment_file: the module; a mistake may be in a file beside it as well.
        what: the function that was called; its first line is named if no line of its own is known.
    """
    if isinstance(error, UserMistake):
        return error
    folder = experiment_file.resolve().parent
    code = getattr(what, "__code__", None)
    place = f"{experiment_file}:{code.co_firstlineno}" if code else str(experiment_file)
    for frame in traceback.extract_tb(error.__traceback__):
        file = Path(frame.filename).resolve()
        if file.is_relative_to(folder) and not file.is_relative_to(_LAB):
            shown = experiment_file if file == experiment_file.resolve() else file
            place = f"{shown}:{frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    if too_many := limits.too_many_files(getattr(error, "errno", None)):
        return too_many
    if isinstance(error, LabError):
        where = f"{place}: {error.where}" if error.where else place
        return UserMistake(error.what, where=where, hint=error.hint, output=error.output)
    hint = user_modules.hint(error, experiment_file.resolve()) or "correct the experiment"
    return UserMistake(f"{type(error).__name__}: {error}", where=place, hint=hint)
