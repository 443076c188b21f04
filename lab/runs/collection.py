"""Finds many runs at once: run directories and bundles, in a folder and the folders inside it."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.runs import bundle, store
from pushpull.runs.store import StoredRun

# A bundle that its owner renamed is one still, and a foreign archive is to be named as such.
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
_DEEPEST = 8  # folders below the given one
_MOST = 10_000  # runs


@dataclass(frozen=True, slots=True)
class Source:
    """Where a run is: a run directory or a bundle.

    `name` is unique among the sources that were found together: the path inside the folder.
    """

    name: str
    path: Path

    @contextlib.contextmanager
    def opened(self) -> Iterator[StoredRun]:
        """Give the run, which a bundle has only inside the block: it is unpacked for that long.

        Raises:
            LabError: it can't be read, or is no run.
        """
        if not _is_packed(self.path):
            yield store.load(self.path)
            return
        with tempfile.TemporaryDirectory(prefix="lab-bundle-") as scratch:
            yield store.load(bundle.unpack(self.path, Path(scratch)))


def sources(places: Iterable[Path]) -> list[Source]:
    """Return the runs at these places, each a run directory, a bundle, or a folder of such.

    Raises:
        LabError: a place doesn't exist, or has no run, or there are more than 10,000.
    """
    found = [source for place in places for source in _at(place)]
    if len(found) > _MOST:
        raise LabError(f"there are {len(found):,} runs, more than {_MOST:,}", hint="name some")
    return list(_uniquely_named(found))


def inside(folder: Path) -> list[Source]:
    """Return the runs in a folder and the folders inside it, by name; it follows no links."""
    with file_errors(folder, "read"):
        paths = sorted(_walk(folder, _DEEPEST))
    return [Source(_named(path.relative_to(folder)), path) for path in paths]


def is_collection(folder: Path) -> bool:
    """Return whether runs were put into a folder, rather than made in it.

    Then it has bundles, or it has runs only in folders inside it.
    """
    found = inside(folder) if folder.is_dir() else []
    packed = any(_is_packed(source.path) for source in found)
    return packed or (bool(found) and all(source.path.parent != folder for source in found))


def _is_packed(path: Path) -> bool:
    return path.name.endswith(_ARCHIVES) and not path.is_dir()


def _at(place: Path) -> list[Source]:
    if place.is_file() or (place / "run.json").exists():
        return [Source(_named(Path(place.resolve().name)), place)]
    if not place.is_dir():
        raise LabError(
            "this is neither a run, nor a bundle, nor a folder of them",
            where=str(place),
            hint="name a run directory, a file NAME.run.tar.gz, or a folder with such",
        )
    if not (found := inside(place)):
        raise LabError("there are no runs here", where=str(place))
    return found


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if os.path.lexists(path / "run.json") or store.NAME.fullmatch(entry.name):
                    yield path
                elif depth:
                    yield from _walk(path, depth - 1)
            elif _is_packed(path):
                yield path


def _uniquely_named(found: Iterable[Source]) -> Iterator[Source]:
    """Number the names that occur again: two students' runs may have started in one second."""
    seen: dict[str, int] = {}
    for source in found:
        seen[source.name] = seen.get(source.name, 0) + 1
        again = f"#{seen[source.name]}" if seen[source.name] > 1 else ""
        yield Source(f"{source.name}{again}", source.path)


def _named(path: Path) -> str:
    return str(path).removesuffix(bundle.ENDING)
