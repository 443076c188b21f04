"""Deploys a run's files to a machine in one round trip, after which a launcher waits there.

The unpacker receives them, see agent/unpacker.py. What it answers is untrusted, like all that a
machine says. Single files that are needed later go by SFTP, which needs no new interpreter.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pushpull.core.errors import LabError
from pushpull.core.os_errors import file_errors
from pushpull.core.text import harmless
from pushpull.core.vocabulary import FILES
from pushpull.machines.agent import launcher, unpacker
from pushpull.machines.remote_process import lost_ignored, send

if TYPE_CHECKING:
    import paramiko

DEPLOYED = "agent/launcher.py"  # written after the user's files, and before any program starts

_SOURCE = Path(str(unpacker.__file__)).read_bytes()
_RECEIVE = "import sys; exec(sys.stdin.buffer.read(int(sys.argv[1])))"
_CHUNK = 1 << 16
_LONGEST_SHOWN = 300  # characters
_LONGEST_ANSWER = 4096  # bytes, of a line and of a file that is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a run's folder has on a machine; files have their paths here.

    Attributes:
        folder: its absolute path there.
        files: the user's, by their names.
        programs: the lab's own, by their paths below the folder.
        reads: the absolute paths of short files there, such as those of /proc.
    """

    folder: str
    files: Mapping[str, Path]
    programs: Mapping[str, Path]
    reads: Sequence[str]

    def command(self, python: str) -> list[str]:
        """Return the command that receives the files; for `ps`, it names what it becomes."""
        launcher = posixpath.join(self.folder, DEPLOYED)
        return [python, "-ISc", _RECEIVE, str(len(_SOURCE)), launcher]

    def send(self, channel: "paramiko.Channel", machine: str) -> dict[str, str]:
        """Send all to the command; return the texts to read, without those that can't be read.

        Raises:
            LabError: a file can't be read here, or written on the `machine`.
            OSError, EOFError: the connection broke, or the answer makes no sense.
        """
        with lost_ignored():  # it refused and ended: its answer says why
            for data in self._order():
                send(channel, data)
        answer = channel.makefile("rb")
        word, _, rest = answer.readline(_LONGEST_ANSWER).decode(errors="replace").partition(" ")
        if word == "refused":
            raise LabError(
                f"can't deploy the programs: {harmless(rest.strip(), _LONGEST_SHOWN)}",
                where=f"machine {machine}",
                hint="is there space, and may the user write there?",
            )
        if word != "ready\n":
            said = channel.recv_stderr(_LONGEST_ANSWER).decode(errors="replace").strip()
            raise EOFError(harmless(said.rpartition("\n")[2], _LONGEST_SHOWN))
        return {path: text for path in self.reads if (text := _content(answer)) is not None}

    def _order(self) -> Iterator[bytes]:
        files = {posixpath.join(FILES, name): path for name, path in self.files.items()}
        files |= {**self.programs, DEPLOYED: Path(str(launcher.__file__))}
        parts = [self.folder, str(len(self.reads)), *self.reads, posixpath.join(FILES, ""), "", "0"]
        sizes = {}
        for name, path in files.items():
            with file_errors(path, "read"):
                about = path.stat()
            sizes[name] = about.st_size
            parts += [name, "x" if about.st_mode & stat.S_IXUSR else "", str(about.st_size)]
        order = os.fsencode("\0".join(parts))
        yield _SOURCE + b"%d\n%s" % (len(order), order)
        for name, path in files.items():
            yield from _bytes_of(path, sizes[name])


def put(sftp: "paramiko.SFTPClient", target: str, files: Mapping[str, Path]) -> None:
    """Copy single files, which a run needs later, into a folder; see `Remote.put`."""
    for name in sorted({posixpath.dirname(name) for name in files} | {""}):
        _make_folders(sftp, posixpath.join(target, name).rstrip("/"))
    for name, path in files.items():
        with file_errors(path, "read"):
            file = path.open("rb")
        with file:
            sftp.putfo(file, posixpath.join(target, name), confirm=False)
            if os.fstat(file.fileno()).st_mode & stat.S_IXUSR:
                sftp.chmod(posixpath.join(target, name), 0o700)


def _make_folders(sftp: "paramiko.SFTPClient", path: str) -> None:
    """Create `path` and its parents, for this user only, as programs may print secrets."""
    with contextlib.suppress(OSError):  # it exists; if not, the next step fails and says why
        try:
            sftp.mkdir(path, 0o700)
        except FileNotFoundError:
            if above := posixpath.dirname(path):
                _make_folders(sftp, above)
                sftp.mkdir(path, 0o700)


def _bytes_of(path: Path, size: int) -> Iterator[bytes]:
    with file_errors(path, "read"), path.open("rb") as file:
        while size:
            data = file.read(min(size, _CHUNK))
            if not data:
                raise LabError("this file changed while it was deployed", where=str(path))
            size -= len(data)
            yield data


def _content(answer: "paramiko.ChannelFile") -> str | None:
    try:
        size = int(answer.readline(_LONGEST_ANSWER))
    except ValueError:
        raise EOFError("its answer makes no sense") from None
    if size < 0:
        return None
    data = answer.read(min(size, _LONGEST_ANSWER))
    if len(data) < size:
        raise EOFError("its answer is incomplete, or too long")
    return str(data.decode(errors="replace"))
