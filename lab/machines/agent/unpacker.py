"""Writes a run's files on a machine, answers what the lab asks, and becomes the launcher.

One command does all of that, so that a machine is ready after one round trip. It isn't deployed:
the lab sends this text before the files, see deployment.py. Standard library only, and little of
it, as every run waits for it.

Standard input carries a line with a number of bytes, and so many bytes, separated by NULs: the
run's folder, the number of paths to read, these paths, and for each file its name, `x` if it is
executable, and its number of bytes; a name that ends in a slash is that of a folder. The bytes of
the files follow; the last one is the launcher.

Standard output gets a line, `ready` or `refused WHY: PATH`. After `ready`, for each path to read
there is a line with a number of bytes, -1 if it can't be read, and so many bytes.
"""

import os
import sys

TYPE_CHECKING = False  # importing typing takes long
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # all but the enumerations, which take a third of a start

_SILENT_S = 30  # after which the harness is gone: a dead connection may never end the input
_CHUNK = 1 << 16


def main() -> None:
    usual = os.umask(0o077)  # for this user only, as programs may print secrets
    folder, count, *rest = take(int(take_line())).decode("utf-8", "surrogateescape").split("\0")
    paths, files = rest[: int(count)], rest[int(count) :]
    path = folder
    try:
        for n in range(0, len(files), 3):
            path = os.path.join(folder, files[n])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if not path.endswith("/"):
                write(path, files[n + 1] == "x", int(files[n + 2]))
    except OSError as error:
        say(f"refused {error.strerror}: {path}\n".encode("utf-8", "surrogateescape"))
        os._exit(1)
    os.umask(usual)
    say(b"ready\n" + b"".join(map(content, paths)))
    signal.alarm(0)  # from here on the launcher has its lease
    become(path)


def take_line() -> bytes:
    signal.alarm(_SILENT_S)
    return sys.stdin.buffer.readline()


def take(size: int) -> bytes:
    """Wait for the next `size` bytes; the process ends with the harness."""
    signal.alarm(_SILENT_S)
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        os._exit(1)
    return data


def write(path: str, is_executable: bool, size: int) -> None:
    """Write the next `size` bytes to a file."""
    with open(path, "wb") as file:
        if is_executable:
            os.fchmod(file.fileno(), 0o700)
        while size:
            size -= file.write(take(min(size, _CHUNK)))


def content(path: str) -> bytes:
    """Return the answer for a path to read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return b"-1\n"
    return b"%d\n%s" % (len(data), data)


def say(answer: bytes) -> None:
    while answer:
        answer = answer[os.write(1, answer) :]


def become(script: str) -> None:
    """Go on as a script, which knows no difference; another interpreter would take a while."""
    sys.argv[:] = [script]
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    exec(code, {"__name__": "__main__", "__file__": script})


if __name__ == "__main__":
    main()
