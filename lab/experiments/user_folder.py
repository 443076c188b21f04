"""A user's own experiment: its files and its programs."""

import os
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sized
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.names import is_name
from pushpull.engine.program import OwnProgram
from pushpull.runs.directory import MODULE
from pushpull.runs.store import NAME

_NEVER = ("__pycache__", "node_modules")
_NEVER_BESIDE = ("runs", "venv")
_MOST_FILES = 2_000
_LARGEST = 100 * 1024**2  # bytes, of all files
_TEMPLATE = Path(__file__).parent / "template"
_PROGRAM_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,90}"


def files(folder: Path) -> dict[str, Path]:
    """Return the files for the machines and for a bundle: those in the folder and below.

    Hidden files, runs, virtual environments and caches of tools are left out; links are followed.
    The keys are the paths at which programs find them, relative to their own folder.

    Raises:
        LabError: there are too many, or they are too large; names the largest.
    """
    found: dict[str, Path] = {}
    sizes: Counter[str] = Counter()  # of each entry in the folder, including everything below it
    for name, path in _walk(folder):
        found[name] = path
        sizes[name.partition("/")[0]] += path.stat().st_size
        if len(found) > _MOST_FILES or sizes.total() > _LARGEST:
            raise _too_much(folder, found, sizes)
    found.pop(MODULE, None)
    return dict(sorted(found.items()))


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file's name and path, folder by folder; none twice, wherever links point."""
    waiting, seen = [folder], {folder.resolve()}
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.is_dir():
                if not _is_left_out(path, folder) and path.resolve() not in seen:
                    seen.add(path.resolve())
                    waiting.append(path)
            elif path.is_file() and not path.name.startswith("."):
                yield path.relative_to(folder).as_posix(), path


def _is_left_out(path: Path, folder: Path) -> bool:
    return (
        path.name.startswith(".")
        or path.name in _NEVER
        or (path.parent == folder and path.name in _NEVER_BESIDE)
        or (path / "pyvenv.cfg").exists()
        or bool(NAME.fullmatch(path.resolve().name))  # a run, or the link to the latest one
    )


def _too_much(folder: Path, found: Sized, sizes: Counter[str]) -> LabError:
    largest, size = sizes.most_common(1)[0]
    return LabError(
        f"more than {_MOST_FILES:,} files or {_LARGEST / 1024**2:.0f} MiB would be copied to every"
        f" machine; of the first {len(found):,} files, '{largest}' is the largest ({size:,} bytes)",
        where=str(folder),
        hint="keep only what the programs need in the experiment's folder",
    )


def programs(folder: Path) -> dict[str, OwnProgram]:
    """Return the programs: each file next to the module, by its name with and without extension.

    If several files differ only in their extension, such as a program and its source, the short
    name is that of the file without one, or else of the first executable one.
    """
    of_name: dict[str, list[Path]] = defaultdict(list)
    for name, path in files(folder).items():
        if "/" not in name and re.fullmatch(_PROGRAM_NAME, name):
            of_name[path.stem].append(path)
    found: dict[str, OwnProgram] = {}
    for stem, paths in of_name.items():
        best = min(paths, key=lambda path: (bool(path.suffix), not _is_executable(path)))
        found |= {path.name: OwnProgram(stem, path) for path in paths}
        found[stem] = OwnProgram(stem, best)
    return found


def create(path: Path, taken: Collection[str]) -> None:
    """Create a first experiment in a new folder, not named as one in `taken`; LabError if not."""
    name = path.resolve().name.lower().replace("-", "_")
    if not is_name(name):
        raise LabError(
            f"'{path.name}' is not a valid name for an experiment",
            where=str(path),
            hint="use lower-case letters, digits, - and _, at most 40",
        )
    if name in taken:
        raise LabError(
            f"the lab already has an experiment '{name}'",
            where=str(path),
            hint="use another name; `fab experiments` lists those in use",
        )
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise LabError(f"{path} already exists and is not empty", hint="use a new folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        for source in sorted(_TEMPLATE.iterdir()):
            if source.is_file():
                shutil.copy(source, path / source.name)
        module = path / MODULE
        module.write_text(module.read_text().replace("def template(", f"def {name}("))
    except OSError as error:
        raise LabError(
            f"can't be created: {error.strerror}", where=str(path), hint="use another folder"
        ) from error


def _is_executable(path: Path) -> bool:
    return path.suffix == ".py" or os.access(path, os.X_OK)
