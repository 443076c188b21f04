"""Runs a tool on this computer, such as vagrant or virsh, and returns its output."""

import os
import subprocess
from collections.abc import Sequence

from pushpull.core import project
from pushpull.core.errors import LabError

_LINES_SHOWN = 5


def ask(words: Sequence[str], *, timeout_s: float, hint: str = "", **environment: str) -> str:
    """Run a command in the project's folder, and return its output.

    Arguments:
        words: the command.
        timeout_s: how long it may take.
        hint: what to do if there is no such command.
        environment: variables for it; the user's own environment overrides them.

    Raises LabError if it can't be run, fails (with its last lines) or takes too long.
    """
    name = " ".join(words)
    try:
        done = subprocess.run(
            words,
            cwd=project.PROJECT,
            env=environment | os.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout_s,
        )
    except FileNotFoundError:
        raise LabError(f"there is no command '{words[0]}' here", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{name}` did not finish within {timeout_s:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout).splitlines()[-_LINES_SHOWN:]
        raise LabError(f"`{name}` failed", hint="its last lines are below", output="\n".join(last))
    return done.stdout
