"""Opens untrusted files: only plain files of a limited size."""

import os
import stat
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from pushpull.core.errors import RunStoreError
from pushpull.core.os_errors import file_errors

_CHUNK = 1024 * 1024


def open_regular(path: Path, *, largest: int, follow: bool = False) -> FileIO:
    """Open a plain file for reading, unbuffered.

    It never reads from a FIFO or a device (opening one may block, or have an effect), and follows
    a link only if the user named it.

    Arguments:
        path: the file.
        largest: the most bytes that it may have.
        follow: whether it may be a link to such a file.

    Raises:
        RunStoreError: it is not a plain file, is too large, or can't be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with file_errors(path, "read"):
        kind = path.stat(follow_symlinks=follow).st_mode
        if not stat.S_ISREG(kind):
            raise _no_plain_file(path)
        file = FileIO(os.open(path, flags), "r")
    about = os.fstat(file.fileno())  # it may have been replaced in between
    if stat.S_ISREG(about.st_mode) and about.st_size <= largest:
        return file
    file.close()
    raise _no_plain_file(path) if not stat.S_ISREG(about.st_mode) else _too_large(path, largest)


def read_regular(path: Path, *, largest: int) -> bytes:
    """Return the content of a plain file; RunStoreError as for `open_regular`."""
    with open_regular(path, largest=largest) as file, file_errors(path, "read"):
        content = b"".join(iter(lambda: file.read(min(_CHUNK, largest + 1)), b""))
    if len(content) > largest:  # it grew meanwhile
        raise _too_large(path, largest)
    return content


def whole_lines(path: Path, *, largest: int, longest: int) -> Iterator[bytes]:
    """Yield the lines of a plain file up to its last newline, each without its newline.

    Arguments:
        path: the file.
        largest: the most bytes that the file may have.
        longest: the most bytes that a line may have.

    Raises:
        RunStoreError: as for `open_regular`, or a line is too long.
    """
    rest, number = b"", 0
    with open_regular(path, largest=largest) as file, file_errors(path, "read"):
        while chunk := file.read(_CHUNK):
            lines = (rest + chunk).split(b"\n")
            rest = lines.pop()
            yield from lines
            number += len(lines)
            if len(rest) > longest:
                raise RunStoreError(
                    "This line is longer than any that a run writes.", where=f"{path}:{number + 1}"
                )


def require_plain_files(folder: Path, *, most: int) -> None:
    """Raise RunStoreError unless a folder has only plain files and folders, at most `most`."""
    waiting, count = [str(folder)], 0
    while waiting:
        with file_errors(folder, "read"), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                count += 1
                if count > most:
                    raise RunStoreError(f"There are more than {most:,} files.", where=str(folder))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    raise _no_plain_file(Path(entry.path))


def _no_plain_file(path: Path) -> RunStoreError:
    return RunStoreError(
        "This is not a plain file, but a link, a folder, a FIFO or a device: it is not opened.",
        where=str(path),
        hint="A run directory has only plain files. Remove it, or get the run again.",
    )


def _too_large(path: Path, largest: int) -> RunStoreError:
    return RunStoreError(f"This is larger than {largest:,} bytes.", where=str(path))
