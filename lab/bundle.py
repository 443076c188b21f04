"""A run in one file: packed to be sent on, unpacked and judged again where there is no lab."""

import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.jsonl import explained
from lab.names import is_name
from lab.runs import amend, load

_ENDING = ".run.tar.gz"
_EXPERIMENT = "_experiment"  # where a user's own goes along; no machine can have that name
_LARGEST = 2 * 1024**3  # bytes, unpacked: a few kilobytes can claim to be a thousand times that


def is_bundle(name: str) -> bool:
    """Tell whether a run is named that is a packed one."""
    return name.endswith(_ENDING)


def pack(path: Path, into: Path) -> Path:
    """Pack a run, with its own experiment if it has one, into one file of a folder.

    Raises:
        LabError: the run can't be read or is still running, or the file can't be written.
    """
    stored = load(path)
    if stored.state == "running":
        raise LabError(
            "this run goes on", where=str(path), cure="pack it when it has come to its end"
        )
    name = path.resolve().name  # of `latest`, where it leads to
    file = into / f"{name}{_ENDING}"
    with explained(file), tarfile.open(file, "w:gz") as archive:
        archive.add(path.resolve(), name, filter=_anonymous)
        module = stored.description.get("module")
        if module and not (path / _EXPERIMENT).exists() and Path(module).is_file():
            for own in sorted(Path(module).parent.iterdir()):
                if own.is_file():
                    archive.add(own, f"{name}/{_EXPERIMENT}/{own.name}", filter=_anonymous)
    return file


def unpack(file: Path, root: Path) -> Path:
    """Unpack a run into the folder of all runs; return its folder.

    Nothing of a packed run is executed here. What it says of paths is another computer's, and is
    taken out.

    Raises:
        LabError: this is no packed run, or one of that name is there already.
    """
    try:
        with explained(file, "read"), tarfile.open(file, "r:gz") as archive:
            name = _checked(archive, file)
            if (root / name).exists():
                raise LabError("this run is there already", where=str(root / name))
            with explained(root):
                root.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=root) as scratch:
                    _harmless(archive).extractall(scratch)
                    (Path(scratch) / name).rename(root / name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _no_bundle(file, str(error)) from error
    amend(root / name, module=None)
    return root / name


def own_experiment(path: Path) -> Path | None:
    """Return the folder of the experiment that was packed with a run, if it is its own."""
    folder = path / _EXPERIMENT
    return folder if folder.is_dir() else None


def _checked(archive: tarfile.TarFile, file: Path) -> str:
    """Return the run's name; a packed run is one folder, of a bearable size, with a run.json."""
    members = archive.getmembers()
    names = {Path(member.name).parts[0] for member in members if Path(member.name).parts}
    if len(names) != 1 or sum(member.size for member in members) > _LARGEST:
        raise _no_bundle(file, "it isn't one folder, or too large")
    name = names.pop()
    description = next((m for m in members if m.name == f"{name}/run.json"), None)
    stream = archive.extractfile(description) if description else None
    told: Any = json.load(stream) if stream else None
    if not isinstance(told, dict) or not is_name(str(told.get("experiment"))):
        raise _no_bundle(file, "it has no run.json")
    return name


def _harmless(archive: tarfile.TarFile) -> tarfile.TarFile:
    """Let nothing out of an archive that isn't a plain file or folder inside of it.

    Python's own filter for that came with 3.11.4; Debian 12 has 3.11.2.
    """
    for member in archive.getmembers():
        inside = not member.name.startswith("/") and ".." not in Path(member.name).parts
        if not inside or not (member.isreg() or member.isdir()):
            raise tarfile.TarError(f"'{member.name}' is no plain file inside of it")
        member.uid = member.gid = -1  # as they are made
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return archive


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out who packed it, and what a page or plot can be made of again anywhere."""
    if member.name.endswith((".html", ".svg", ".png")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _no_bundle(file: Path, why: str) -> LabError:
    cure = "`./fab bundle --run RUN` makes one"
    return LabError(f"this is no packed run: {why}", where=str(file), cure=cure)
