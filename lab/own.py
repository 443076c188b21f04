"""An experiment of the user's own: its files, its programs, and its mistakes told as such."""

import os
import re
import shutil
from collections import defaultdict
from pathlib import Path

from lab.errors import LabError
from lab.names import is_name
from lab.program import Program

MODULE = "experiment.py"
_TEMPLATE = Path(__file__).parent / "experiments" / "template"
_PROGRAM_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,90}"


def files(folder: Path) -> dict[str, Path]:
    """Return what goes to the machines: all files in the folder and below, but hidden ones.

    Programs find them beside themselves, by the names that are the keys.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden and parts != (MODULE,):
            found["/".join(parts)] = path
    return found


def programs(folder: Path) -> dict[str, Program]:
    """Return what can be started: each file beside the module, by its name, and without ending.

    Of several that differ in their endings alone, as a program and its source, the short name is
    that of the one without ending, else of the first that is executable.
    """
    of_name: dict[str, list[Path]] = defaultdict(list)
    for name, path in files(folder).items():
        if "/" not in name and re.fullmatch(_PROGRAM_NAME, name):
            of_name[path.stem].append(path)
    found: dict[str, Program] = {}
    for stem, paths in of_name.items():
        best = min(paths, key=lambda path: (bool(path.suffix), not _is_executable(path)))
        found |= {path.name: Program(stem, path, ours=False) for path in paths}
        found[stem] = Program(stem, best, ours=False)
    return found


def create(path: Path) -> None:
    """Make a first experiment in a new folder; LabError where that can't be."""
    name = path.resolve().name.lower().replace("-", "_")
    if not is_name(name):
        raise LabError(
            f"'{path.name}' can't be an experiment's name",
            where=str(path),
            cure="take small letters, digits, - and _, at most 40",
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LabError("there is something here already", where=str(path), cure="take a new folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        for source in sorted(_TEMPLATE.iterdir()):
            if source.is_file():
                shutil.copy(source, path / source.name)
        module = path / MODULE
        module.write_text(module.read_text().replace("def template(", f"def {name}("))
    except OSError as error:
        raise LabError(
            f"can't be made: {error.strerror}", where=str(path), cure="take another folder"
        ) from error


def _is_executable(path: Path) -> bool:
    return path.suffix == ".py" or os.access(path, os.X_OK)
