"""Mistakes in the code of users, told with their line."""

import traceback
from pathlib import Path

from lab.errors import LabError


def mistake(error: BaseException, experiment_file: Path, what: object = None) -> LabError:
    """Return an exception that a user's own module raised as a mistake in it, with its line.

    Arguments:
        error: what was raised; a LabError keeps its words.
        experiment_file: the module; a mistake may be in a file beside it as well.
        what: the function that was called; its first line is named if no line of its own is known.
    """
    folder = experiment_file.resolve().parent
    code = getattr(what, "__code__", None)
    place = f"{experiment_file}:{code.co_firstlineno}" if code else str(experiment_file)
    for frame in traceback.extract_tb(error.__traceback__):
        if (file := Path(frame.filename).resolve()).is_relative_to(folder):
            shown = experiment_file if file == experiment_file.resolve() else file
            place = f"{shown}:{frame.lineno}"
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    if isinstance(error, LabError):
        where = f"{place}: {error.where}" if error.where else place
        return LabError(error.what, where=where, cure=error.cure, output=error.output)
    return LabError(f"{type(error).__name__}: {error}", where=place, cure="correct the experiment")
