"""Packs a run into one file for others, who can unpack it and judge it again without a lab."""

import hashlib
import io
import json
import os
import shlex
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from pushpull.core.errors import RunStoreError
from pushpull.core.os_errors import file_errors
from pushpull.core.project import COMMAND
from pushpull.runs import archive, store
from pushpull.runs.archive import NotPacked
from pushpull.runs.directory import describe
from pushpull.runs.sums import without_homes

ENDING = ".run.tar.gz"
# zlib's fastest level compresses by 229 at most, even nothing but zeros; the others by up to 1,030,
# which unpacking takes for a bomb.
_COMPRESSION = 1
_TAR_EACH = 4 * 1024  # bytes that a file's headers and padding take at most
_MADE_AGAIN = (".html", ".svg", ".png")  # never trust a packed page or picture: make it again
_TAG = 6  # hexadecimal digits


def is_bundle(name: str) -> bool:
    """Return whether a name is that of a packed run."""
    return name.endswith(ENDING)


def pack(path: Path, into: Path) -> Path:
    """Pack a run, with the user's experiment inside it, into one file in a folder.

    Hidden files are left out, and so is what reveals the owner: user names, and home folders in
    run.json and traceback.txt. The file has the run's name and a tag of its own, so that the runs
    of many authors, who may have begun in the same second, have different names in one folder.

    Raises:
        LabError: the run can't be read or is still running, or the file can't be written.
    """
    stored = store.load(path)
    if stored.state == "running":
        raise RunStoreError(
            "this run is still going on", where=str(path), hint="pack it when it has ended"
        )
    folder = path.resolve()  # for `latest`, its target
    name = _tagged(folder)
    file = into / f"{name}{ENDING}"
    part = file.with_name(f".{file.name}")
    try:
        sources = list(_packed(folder))
        _require_unpackable(folder, sources)
        with (
            file_errors(file),
            tarfile.open(part, "w:gz", compresslevel=_COMPRESSION) as packed,
        ):
            for source in sources:
                _add(packed, source, PurePosixPath(name, source.relative_to(folder)))
        with file_errors(file):
            part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def unpack(file: Path, root: Path) -> Path:
    """Unpack a run into the folder of all runs; return its folder.

    This executes nothing of the packed run, and puts nothing into `root` before all of it is
    checked. It removes paths, which belong to another computer.

    Raises:
        RunStoreError: this is not a packed run, or a run with that name exists already.
    """
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    try:
        with file_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=root, prefix=".unpacking-") as scratch:
                return _checked(file, Path(scratch), root)
    except NotPacked as error:
        raise _no_bundle(file, str(error)) from error
    finally:
        for folder in made:  # remove those that are empty because unpacking failed
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _checked(file: Path, scratch: Path, root: Path) -> Path:
    """Unpack into a scratch folder, check the content, and rename it into place."""
    inside = scratch / "run"
    inside.mkdir()
    with tempfile.TemporaryFile(dir=scratch) as tar:
        paths = archive.unpack(file, inside, tar)
    names = {path.parts[0] for path in paths}
    name = names.pop() if len(names) == 1 else ""
    named = store.NAME.fullmatch(name)
    if not named or PurePosixPath(name, "run.json") not in paths:
        raise NotPacked("it is not the folder of one run with its run.json")
    run, target = inside / name, root / name
    if os.path.lexists(target):
        raise RunStoreError(
            "this run exists already",
            where=str(target),
            hint=f"look at it: `{COMMAND} report --run {shlex.quote(str(target))}`, with --judge to"
            " judge it again; or unpack the file into another folder: --runs DIR",
        )
    for path in run.iterdir():
        if path.suffix in _MADE_AGAIN and path.is_file():
            path.unlink()
    try:
        stored = store.load(run)
    except RunStoreError as error:
        where = error.where.removeprefix(f"{inside}/")
        raise NotPacked(f"{where}: {error.what}") from error
    if stored.description["experiment"] != named["experiment"]:
        raise NotPacked("its folder's name is not its experiment's")
    describe(run, stored.description | {"module": None})
    run.rename(target)
    return target


def _tagged(folder: Path) -> str:
    """Return a run's name with a tag made of its run.json, which is unique; only once."""
    named = store.NAME.fullmatch(folder.name)
    if named is None or named["tag"]:
        return folder.name
    said = _anonymous("run.json", (folder / "run.json").read_text("utf-8", "replace"))
    return f"{folder.name}-{hashlib.sha256(said.encode()).hexdigest()[:_TAG]}"


def _packed(folder: Path) -> Iterator[Path]:
    """Yield the files of a run to pack, in order."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        made_again = len(inside.parts) == 1 and path.suffix in _MADE_AGAIN
        if path.is_file() and not archive.is_hidden(PurePosixPath(inside)) and not made_again:
            yield path


def _require_unpackable(folder: Path, sources: Sequence[Path]) -> None:
    """Raise RunStoreError for a run of which nobody could unpack the bundle."""
    total = sum(source.stat().st_size + _TAR_EACH for source in sources)
    if total > archive.LARGEST or len(sources) > archive.MOST_FILES:
        raise RunStoreError(
            f"this run is too large for a bundle: {len(sources):,} files, {total:,} bytes; at most"
            f" {archive.MOST_FILES:,} files and {archive.LARGEST:,} bytes are unpacked",
            where=str(folder),
            hint="remove from it what your programs left and nobody needs: MACHINE/files",
        )


def _add(packed: tarfile.TarFile, source: Path, name: PurePosixPath) -> None:
    """Add a file without user, group and home folder."""
    try:
        archive.path_of(str(name))
    except NotPacked as error:
        hint = "rename it in the run, or remove it"
        raise RunStoreError(f"this file's name can't be packed: {error}", where=str(source),
                            hint=hint) from error  # fmt: skip
    member = tarfile.TarInfo(str(name))
    about = source.stat()
    member.mtime, member.mode = int(about.st_mtime), 0o755 if about.st_mode & 0o100 else 0o644
    if len(name.parts) == 2 and name.name in ("run.json", "traceback.txt"):
        content = _anonymous(name.name, source.read_text("utf-8", "replace")).encode("utf-8")
        member.size = len(content)
        packed.addfile(member, io.BytesIO(content))
        return
    with source.open("rb") as stream:
        member.size = os.fstat(stream.fileno()).st_size
        packed.addfile(member, stream)


def _anonymous(name: str, text: str) -> str:
    if name == "run.json":
        text = json.dumps(json.loads(text) | {"module": None}, indent=2, ensure_ascii=False) + "\n"
    return without_homes(text)


def _no_bundle(file: Path, why: str) -> RunStoreError:
    hint = f"`{COMMAND} bundle --run RUN` makes one"
    return RunStoreError(f"this is not a packed run: {why}", where=str(file), hint=hint)
