"""Fetches the files that programs created or changed on a machine.

Nothing that a machine says is trusted: a name must stay inside the target folder, and the bytes
are counted here.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.core.text import harmless
from pushpull.core.vocabulary import FILES
from pushpull.machines.agent import collector
from pushpull.machines.connection import ssh_errors
from pushpull.machines.deployment import DEPLOYED
from pushpull.machines.remote import Remote

MOST_FILES = 1_000
MOST_BYTES = 64 * 1024**2  # of a machine's files together
_LONGEST_S = 60.0
_LONGEST_LINE = 16 * 1024  # bytes
_LONGEST_NAME = 200  # bytes, of a file or a folder
_DEEPEST = 8  # folders
_LONGEST_SHOWN = 300  # characters of a name or a reason
_CHUNK = 1 << 18
_NO_FILES = "its answer is not a list of files"


class Stream(Protocol):
    """The data that a machine sends."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """The names of the fetched files, and the reason for each that was left out."""

    names: tuple[str, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    """The header of a file: its name, and its size or the reason for leaving it out."""

    name: str
    size: int
    left_out: str


def files_of(run: Path, machine: str) -> Path:
    """Return the folder of a run with the files that programs left on a machine."""
    return run / machine / "files"


def left(remote: Remote, folder: str, known: Mapping[str, Path], into: Path) -> Fetched:
    """Fetch what programs created or changed in a run's `folder` on a machine.

    Arguments:
        remote: the machine.
        folder: the run's folder there.
        known: the deployed files, by their names there.
        into: the local folder; created if there is anything to fetch.

    Raises:
        LabError: the machine doesn't answer, or a file can't be written here.
    """
    return _fetch(remote, folder, known, None, into)


def one(remote: Remote, folder: str, path: str, into: Path) -> Path:
    """Fetch one file from the folder where programs run; return its local path.

    Raises:
        LabError: it can't be fetched, or as for `left`.
    """
    where = f"machine {remote.name}"
    if _relative(path) is None:
        raise LabError(
            f"{path!r} can't be fetched",
            where=where,
            hint="give a path inside the folder where programs run, without ..",
        )
    fetched = _fetch(remote, folder, {}, path, into)
    if path not in fetched.names:
        why = fetched.left_out.get(path, "the machine did not send it")
        hint = "does it exist at that time?"
        raise LabError(f"{path} can't be fetched: {why}", where=where, hint=hint)
    return into / path


def _fetch(
    remote: Remote, folder: str, known: Mapping[str, Path], only: str | None, into: Path
) -> Fetched:
    order = {
        "folder": remote.path(folder, FILES),
        "known": {name: _size(path) for name, path in known.items()},
        "since": remote.path(folder, DEPLOYED),
        "only": only,
        "files": MOST_FILES,
        "bytes": MOST_BYTES,
    }
    names: list[str] = []
    left_out: dict[str, str] = {}
    end = time.monotonic() + _LONGEST_S
    with (
        ssh_errors(remote.access, "fetch what programs left"),
        remote.ask(folder, collector, json.dumps(order).encode()) as stream,
    ):
        for file in _files(stream):
            why = file.left_out or _refusal(file.name, only) or _make_room(into, file.name)
            if why:
                left_out[harmless(file.name, _LONGEST_SHOWN)] = why
                _skip(stream, file.size, end)
            else:
                _keep(stream, file.size, into / file.name, end)
                names.append(file.name)
    return Fetched(tuple(names), left_out)


def _size(deployed: Path) -> int:
    try:
        return deployed.stat().st_size
    except FileNotFoundError:  # deleted here since: what is there counts as changed
        return -1


def _files(stream: Stream) -> Iterator[_File]:
    """Yield the header of each file until the last; the caller reads the bytes after each."""
    space = MOST_BYTES
    for _ in range(2 * MOST_FILES):
        file = _parsed(stream.readline(_LONGEST_LINE))
        if file is None:
            return
        space -= file.size
        if space < 0:
            break
        yield file
    raise EOFError("it sent more than the lab asked for")


def _parsed(line: bytes) -> _File | None:
    """Return the header in a line, None for the last line; EOFError if it is neither."""
    try:
        header: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise EOFError(_NO_FILES) from None
    match header:
        case {"name": str(name), "size": int(size)} if size >= 0:
            return _File(name, size, "")
        case {"name": str(name), "left_out": str(reason)}:
            return _File(name, 0, harmless(reason, _LONGEST_SHOWN) or "it was left out")
        case {**more} if not more:
            return None
    raise EOFError(_NO_FILES)


def _refusal(name: str, only: str | None) -> str:
    """Return why a file with this name is refused; empty if it is accepted."""
    path = _relative(name)
    if path is None or (only is None and any(part.startswith(".") for part in path.parts)):
        return "a file here can't have that name"
    return "" if only in (None, name) else "the lab did not ask for it"


def _make_room(into: Path, name: str) -> str:
    """Create the folder for a file; return why that is impossible, empty if it worked."""
    path = into / name
    with file_errors(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            return "a file has the name of its folder"
    return "a folder has its name" if path.is_dir() else ""


def _relative(name: str) -> PurePosixPath | None:
    """Return the path for a name; None if it could lead outside, or could affect a terminal."""
    parts = name.split("/")
    for part in parts:
        if part in ("", ".", "..") or "\\" in part or not part.isprintable():
            return None
        if len(part.encode("utf-8", "replace")) > _LONGEST_NAME:
            return None
    return PurePosixPath(*parts) if len(parts) <= _DEEPEST else None


def _keep(stream: Stream, size: int, path: Path, end: float) -> None:
    """Write the next bytes to a file, completely or not at all; replace an earlier version."""
    part = path.with_name(f".{path.name}")
    with file_errors(path):
        try:
            with part.open("wb") as file:
                for chunk in _chunks(stream, size, end):
                    file.write(chunk)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _skip(stream: Stream, size: int, end: float) -> None:
    for _ in _chunks(stream, size, end):
        pass


def _chunks(stream: Stream, size: int, end: float) -> Iterator[bytes]:
    while size:
        try:
            chunk = stream.read(min(size, _CHUNK))
        except OSError as error:  # not an OSError, which would look like a failure to write here
            raise EOFError(str(error) or "it fell silent") from error
        if not chunk or time.monotonic() > end:
            raise EOFError("the files are incomplete" if not chunk else "it takes too long")
        size -= len(chunk)
        yield chunk
