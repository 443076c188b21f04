"""Makes a program that uses C's stdio print line by line.

Deployed where an experiment starts such a program, and loaded by the launcher there; standard
library only.
"""

import os

_PRELOAD = ("LD_PRELOAD", "_STDBUF_O")  # what stdbuf sets for a program


def added_to(env: "dict[str, str]") -> "dict[str, str]":
    """Add variables to `env` that make a program that uses C's stdio print line by line.

    Into a pipe, stdio writes 4 KiB at a time. `stdbuf` changes that by preloading a library. This
    only asks `stdbuf` for its variables: if it started the program, a failed start could go
    unnoticed, as `stdbuf` then exits with 126 or 127, and so may the program itself.
    """
    asked, answer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.dup2(answer, 1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.execvpe("stdbuf", ["stdbuf", "-oL", "cat", "/proc/self/environ"], env)
        finally:
            os._exit(127)  # as in a shell
    os.close(answer)
    with os.fdopen(asked, "rb") as file:
        found = [os.fsdecode(variable).partition("=")[::2] for variable in file.read().split(b"\0")]
    os.waitpid(child, 0)
    return {**env, **{name: value for name, value in found if name in _PRELOAD}}
