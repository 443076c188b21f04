"""A run in one file: packed to be sent on, unpacked and judged again where there is no lab."""

import io
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from lab.core.errors import RunStoreError
from lab.core.os_errors import file_errors
from lab.runs import archive, store
from lab.runs.archive import NotPacked
from lab.runs.directory import describe

_ENDING = ".run.tar.gz"
_MADE_AGAIN = (".html", ".svg", ".png")  # pages and pictures: anyone's would be shown as ours
# Where a home can lie: whose it is isn't to be sent on.
_HOME = re.compile(r"(?:/home|/Users|/var/home|/data/home)/[^/\s'\"]+|/root(?=/)")


def is_bundle(name: str) -> bool:
    """Tell whether a run is named that is a packed one."""
    return name.endswith(_ENDING)


def pack(path: Path, into: Path) -> Path:
    """Pack a run, with the own experiment that it holds, into one file of a folder.

    Hidden files stay behind, and so does what tells whose it is: names of users, and of homes in
    run.json and traceback.txt.

    Raises:
        LabError: the run can't be read or is still running, or the file can't be written.
    """
    stored = store.load(path)
    if stored.state == "running":
        raise RunStoreError(
            "this run goes on", where=str(path), hint="pack it when it has come to its end"
        )
    folder = path.resolve()  # of `latest`, where it leads to
    file = into / f"{folder.name}{_ENDING}"
    part = file.with_name(f".{file.name}")
    try:
        with file_errors(file), tarfile.open(part, "w:gz") as packed:
            for source in _packed(folder):
                _add(packed, source, PurePosixPath(folder.name, source.relative_to(folder)))
        with file_errors(file):
            part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file


def unpack(file: Path, root: Path) -> Path:
    """Unpack a run into the folder of all runs; return its folder.

    Nothing of a packed run is executed here, and nothing of it lies in `root` before all of it was
    checked. What it says of paths is another computer's, and is taken out.

    Raises:
        RunStoreError: this is no packed run, or one of that name is there already.
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
        for folder in made:  # those that hold nothing, as nothing was unpacked
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _checked(file: Path, scratch: Path, root: Path) -> Path:
    """Unpack into a scratch folder, check what is there, and rename it into place."""
    inside = scratch / "run"
    inside.mkdir()
    with tempfile.TemporaryFile(dir=scratch) as tar:
        paths = archive.unpack(file, inside, tar)
    names = {path.parts[0] for path in paths}
    name = names.pop() if len(names) == 1 else ""
    named = store.NAME.fullmatch(name)
    if not named or PurePosixPath(name, "run.json") not in paths:
        raise NotPacked("it isn't one run's folder with its run.json")
    run, target = inside / name, root / name
    if os.path.lexists(target):
        raise RunStoreError(
            "this run is there already",
            where=str(target),
            hint="name it to look at it, or unpack into another folder: --runs DIR",
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


def _packed(folder: Path) -> Iterator[Path]:
    """Give the files of a run that are sent on, in order."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        made_again = len(inside.parts) == 1 and path.suffix in _MADE_AGAIN
        if path.is_file() and not archive.is_hidden(PurePosixPath(inside)) and not made_again:
            yield path


def _add(packed: tarfile.TarFile, source: Path, name: PurePosixPath) -> None:
    """Add a file: no user, no group, no home."""
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
    home = str(Path.home())
    return _HOME.sub("~", text.replace(home, "~") if len(home) > 1 else text)


def _no_bundle(file: Path, why: str) -> RunStoreError:
    hint = "`./fab bundle --run RUN` makes one"
    return RunStoreError(f"this is no packed run: {why}", where=str(file), hint=hint)
