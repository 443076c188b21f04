"""Errors in a user's code, reported with their line."""

import traceback
from pathlib import Path

from pushpull.core import limits, user_modules
from pushpull.core.errors import LabError

_LAB = Path(__file__).parents[1]


class UserMistake(LabError):
    """An exception in a user's own code, with its line."""


def mistake(error: BaseException, experiment_file: Path, what: object = None) -> LabError:
    """Turn an exception from a user's module into an error that names the line.

    Arguments:
        error: the exception; a LabError keeps its message.
        experiment_file: the module; the mistake may also be in a file next to it.
        what: the function that was called; its first line is named if no better one is known.
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
