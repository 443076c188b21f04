"""Writes the files that programs left in a folder to standard output, one after another.

Deployed to every machine; standard library only. Standard input brings one JSON object: `folder`;
`known`, the sizes of the files that were deployed there, by their names; `since`, a file that was
written after them; `only`, the one name that is wanted, or null for all that is new or changed; and
the limits `files` and `bytes`.

A file comes as a line, JSON with `name` and `size`, and so many bytes after it. One that is left
out comes as a line with `name` and `left_out`, the reason. The last line is `{}`. Nothing but
regular files is opened, and none through a link: a program can have left anything.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator

_MOST_LEFT_OUT = 100  # that are named


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
    """Yield the names of what is new in this folder and below, or was changed; no hidden files."""
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
    """Return what a file holds, and why it is left out, if it is."""
    try:
        if not stat.S_ISREG(os.lstat(name).st_mode):
            return b"", "it is no regular file"
        # What was replaced since: a link isn't followed, a FIFO not waited for.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode):
                return b"", "it is no regular file"
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
