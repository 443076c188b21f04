"""Checks that machines have what an experiment needs besides its own files."""

import shlex
from collections.abc import Sequence

from lab.core.errors import NotFit
from lab.machines.remote import Remote

_PYTHON = "python:"
_COMMANDS = 'for name; do command -v "$name" >/dev/null || echo "$name"; done'
_MODULES = (
    "import importlib.util, sys\n"
    "for name in sys.argv[1:]:\n"
    "    if importlib.util.find_spec(name.partition('.')[0]) is None:\n"
    "        print(name)\n"
)


def require(remote: Remote, needs: Sequence[str]) -> None:
    """Raise NotFit if a machine lacks something, with the command that installs it.

    Arguments:
        remote: the machine.
        needs: commands, such as `awk`, and modules of its lab Python, such as `python:numpy`.
    """
    commands = [need for need in needs if not need.startswith(_PYTHON)]
    modules = [need.removeprefix(_PYTHON) for need in needs if need.startswith(_PYTHON)]
    python = remote.access.python
    for argv, names, hint in (
        (
            ["sh", "-c", _COMMANDS, "sh"],
            commands,
            "install it there, e.g.: apt-get install {}",
        ),
        ([python, "-c", _MODULES], modules, f"{shlex.quote(python)} -m pip install {{}}  # there"),
    ):
        missing = remote.run([*argv, *names]).decode().split() if names else []
        if missing:
            raise NotFit(
                f"it lacks what this experiment needs: {', '.join(missing)}",
                where=f"machine {remote.name}",
                hint=hint.format(" ".join(missing)),
            )
