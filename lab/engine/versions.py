"""Asks the machines for the versions of an experiment's own programs, before a run."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pushpull.core.errors import LabError, NotFit
from pushpull.core.vocabulary import FILES

if TYPE_CHECKING:
    from pushpull.machines.remote import Remote

Commands = Mapping[str, Sequence[str]]

# Runs on a machine; prints the first line that each command prints there, as JSON.
_ASK = """
import json, subprocess, sys
commands, folder = json.loads(sys.argv[1])
found = {}
for name, command in commands.items():
    try:
        said = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=10, check=True,
        ).stdout.decode(errors="backslashreplace")
        found[name] = next(line.strip()[:200] for line in said.splitlines() if line.strip())
    except (OSError, subprocess.SubprocessError, StopIteration):
        pass
print(json.dumps(found))
"""


def require_sound(commands: Commands) -> None:
    """Raise ValueError if these are not names, each with the words of a command."""
    for name, words in commands.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.+-]{0,39}", name):
            raise ValueError(f"{name!r} in versions is not a name such as 'redis'")
        if isinstance(words, str) or not words or not all(isinstance(word, str) for word in words):
            example = json.dumps(words.split() if isinstance(words, str) else [name, "--version"])
            raise ValueError(f"versions[{name!r}] must be a list of words, such as {example}")


def ask(remote: "Remote", commands: Commands, folder: str) -> dict[str, str]:
    """Return the first line that each command prints on a machine, if it succeeds there.

    Arguments:
        remote: a machine that has the experiment's files.
        commands: by the names of the programs.
        folder: the run's folder on the machine.
    """
    if not commands:
        return {}
    order = json.dumps([{k: [*v] for k, v in commands.items()}, remote.path(folder, FILES)])
    answer = remote.run([remote.access.python, "-ISc", _ASK, order])
    try:
        return {name: str(line) for name, line in json.loads(answer).items()}
    except (ValueError, AttributeError) as error:
        raise NotFit(
            "its Python printed something besides the versions of the programs",
            where=f"machine {remote.name}",
            hint=f"find out what {remote.access.python} prints there when it starts",
        ) from error


def require_known(found: Mapping[str, Mapping[str, str]], commands: Commands) -> None:
    """Raise LabError if no machine could say the version of one of the programs."""
    for name, words in commands.items():
        if not any(name in versions for versions in found.values()):
            raise LabError(
                f"on no machine did the command for the version of {name} succeed and print a line:"
                f" {' '.join(words)}",
                hint="correct `versions` in @experiment",
            )
