"""Unpacks an untrusted archive, within limits, and only plain files.

Everything is checked before anything is used. Python's own filters came with 3.11.4 (Debian 12 has
3.11.2), and its tarfile follows a header's size anywhere, even backwards; so this module walks
through the headers first.
"""

import gzip
import os
import shutil
import tarfile
import time
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from pushpull.core.os_errors import file_errors
from pushpull.runs.regular_files import open_regular

LARGEST = 2 * 1024**3  # bytes, unpacked and packed
MOST_FILES = 20_000
DEEPEST = 16  # folders
_LONGEST_PATH = 1_000  # bytes
_LONGEST_NAME = 200
_LONGEST_HEADER = 64 * 1024  # of a header that holds a long name
_TOO_SMALL_TO_ASK = 16 * 1024**2  # bytes, unpacked
_HIGHEST_RATIO = 300  # lines of JSON reach 30
_LONGEST_S = 120.0
_CHUNK = 1024**2
_BLOCK = 512  # bytes, of tar
_PLAIN, _FOLDER = b"0", b"5"  # not \0, an old type of file that may be a folder
_PAX, _LONG_NAME = b"x", b"L"


class NotPacked(Exception):
    """An archive is refused; the message says why."""


def unpack(file: Path, into: Path, scratch: IO[bytes]) -> list[PurePosixPath]:
    """Unpack a gzipped tar archive into an empty folder; return the names of its files.

    Arguments:
        file: the archive.
        into: the folder; hidden files in the archive are left out.
        scratch: an empty file, for the decompressed archive.

    Raises:
        NotPacked: it is damaged, exceeds a limit, or contains something besides plain files.
        RunStoreError: it can't be read, or the files can't be written.
    """
    _inflate(file, scratch)
    try:
        _walk(scratch)
        scratch.seek(0)
        with tarfile.open(fileobj=scratch, mode="r:") as archive:
            members = [(path_of(m.name), m) for m in archive if not m.isdir() or path_of(m.name)]
            plain = [(path, m) for path, m in members if m.isreg() and not is_hidden(path)]
            _require_a_tree([path for path, _ in plain])
            for path, member in plain:
                source = archive.extractfile(member)
                assert source is not None
                _write(source, into.joinpath(*path.parts), executable=bool(member.mode & 0o100))
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise NotPacked(f"its tar archive is damaged ({type(error).__name__})") from error
    return [path for path, _ in plain]


def _inflate(file: Path, scratch: IO[bytes]) -> None:
    end = time.monotonic() + _LONGEST_S
    with open_regular(file, largest=LARGEST, follow=True) as packed:
        try:
            total = 0
            with gzip.GzipFile(fileobj=packed) as stream:
                while data := stream.read(_CHUNK):
                    total += len(data)
                    if total > LARGEST:
                        raise NotPacked(f"it is larger than {LARGEST:,} bytes, unpacked")
                    if total > max(_TOO_SMALL_TO_ASK, packed.tell() * _HIGHEST_RATIO):
                        raise NotPacked("a few bytes of it claim to be very many")
                    if time.monotonic() > end:
                        raise NotPacked(f"it took longer than {_LONGEST_S:.0f} s")
                    with file_errors(file.parent):
                        scratch.write(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise NotPacked("its compression is damaged") from error


def _walk(archive: IO[bytes]) -> None:
    """Check each header; NotPacked for one that points elsewhere, or not to a plain file."""
    total, at, count, names_next = archive.seek(0, os.SEEK_END), 0, 0, False
    while True:
        archive.seek(at)
        header = archive.read(_BLOCK)
        if len(header) == _BLOCK and not any(header):
            return
        if len(header) < _BLOCK:
            raise NotPacked("it is cut off")
        if _octal(header[148:156]) != sum(header[:148] + b" " * 8 + header[156:]):
            raise NotPacked("a header in it is damaged")
        kind, size, count = header[156:157], _octal(header[124:136]), count + 1
        if at + _BLOCK + size > total:
            raise NotPacked("it is cut off")
        if count > 2 * MOST_FILES:
            raise NotPacked(f"it has more than {MOST_FILES:,} files")
        if kind in (_PAX, _LONG_NAME):
            if names_next or size > _LONGEST_HEADER:
                raise NotPacked("a name in it is too long")
            if kind == _PAX and _changes_more_than_names(archive.read(size)):
                raise NotPacked("a header in it says more than a name and a time")
        elif kind != _PLAIN and (kind != _FOLDER or size):
            raise NotPacked("it holds a link, a device or the like")
        names_next = kind in (_PAX, _LONG_NAME)
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK


def _octal(field: bytes) -> int:
    """Return an octal size; other encodings are for files over 8 GiB and negative sizes."""
    digits = field.strip(b" \0")
    if not digits.isdigit():
        raise NotPacked("a size in it is not a number")
    return int(digits, 8)


def _changes_more_than_names(records: bytes) -> bool:
    """Return whether a POSIX header would change the size or type of the next file."""
    while records:
        length, _, _ = records.partition(b" ")
        if not length.isdigit() or len(length) > 6 or not 0 < int(length) <= len(records):
            return True
        keyword = records[len(length) + 1 : int(length)].partition(b"=")[0]
        if keyword not in (b"path", b"mtime", b"atime", b"ctime", b"uid", b"gid", b"comment"):
            return True
        records = records[int(length) :]
    return False


def path_of(name: str) -> PurePosixPath:
    """Return a member's path; NotPacked if it could lead outside, or could affect a terminal."""
    parts = name.rstrip("/").split("/")
    fine = len(parts) <= DEEPEST and len(name.encode("utf-8", "replace")) <= _LONGEST_PATH
    for part in parts:
        fine = fine and part.isprintable() and "\\" not in part and part not in ("", ".", "..")
        fine = fine and len(part.encode("utf-8", "replace")) <= _LONGEST_NAME
    if not fine:
        raise NotPacked("a name in it is not valid for a file inside it")
    return PurePosixPath(*parts)


def is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _require_a_tree(paths: list[PurePosixPath]) -> None:
    names = set(paths)
    folders = {folder for path in paths for folder in path.parents}
    if len(names) != len(paths) or names & folders:
        raise NotPacked("it has two files with one name")
    if len(paths) > MOST_FILES:
        raise NotPacked(f"it has more than {MOST_FILES:,} files")


def _write(source: IO[bytes], target: Path, *, executable: bool) -> None:
    with file_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as made:
            shutil.copyfileobj(source, made, _CHUNK)
        target.chmod(0o755 if executable else 0o644)
