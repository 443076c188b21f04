"""Writes the files that programs left in a folder to standard output, one after another.

Deployed to every machine; standard library only. Standard input carries one JSON object: `folder`;
`known`, the sizes of the deployed files by name; `since`, a file that was written after them;
`only`, the name of a single file, or null for every new or changed one; and the limits `files` and
`bytes`.

Each file is a JSON line with `name` and `size`, followed by so many bytes. A file that is left out
is a line with `name` and the reason, `left_out`. The last line is `{}`. The collector opens only
regular files, and follows no links: a program can have left anything.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator

_MOST_LEFT_OUT = 100  # files reported as left out


def main() -> None:
    order = json.load(sys.stdin)
    os.chdir(order["folder"])
    files, space, left_out = order["files"], order["bytes"], 0
    for name in [order["only"]] if order["only"] else left(order["known"], order["since"]):
        content, reason = b"", f"there are more than {order['files']} files"
        if files:
            content, reason = read(name, space)
        if not reason:
            files, space = files - 1, space - len(content)
            write({"name": name, "size": len(content)}, content)
        elif left_out < _MOST_LEFT_OUT:
            left_out += 1
            write({"name": name, "left_out": reason})
        if not files and left_out == _MOST_LEFT_OUT:
            break
    write({})


def left(known: "dict[str, int]", since: str) -> "Iterator[str]":
    """Yield the names of new and changed files in this folder and below, except hidden ones."""
    deployed = os.stat(since).st_mtime_ns
    for above, folders, names in os.walk("."):
        folders[:] = sorted(name for name in folders if is_seen(name))
        for name in sorted(filter(is_seen, names)):
            path = os.path.normpath(os.path.join(above, name))
            try:
                about = os.lstat(path)
            except OSError:
                continue
            if known.get(path) != about.st_size or about.st_mtime_ns > deployed:
                yield path


def is_seen(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def read(name: str, most: int) -> "tuple[bytes, str]":
    """Return a file's content, or the reason to leave it out."""
    try:
        if not stat.S_ISREG(os.lstat(name).st_mode):
            return b"", "it is not a regular file"
        # If it was replaced since then: don't follow a link, don't wait for a FIFO.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                return b"", "it is not a regular file"
            if about.st_size > most:
                return b"", f"it has {about.st_size:,} bytes, and {most:,} are left"
            return file.read(about.st_size), ""
    except OSError as error:
        return b"", str(error.strerror)


def write(about: "dict[str, object]", content: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + content)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
