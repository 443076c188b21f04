"""Asks the machines for the versions of an experiment's own programs, before a run."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pushpull.core.errors import LabError, NotFit
from pushpull.core.vocabulary import FILES
from pushpull.engine.program import PYTHON

if TYPE_CHECKING:
    from pushpull.machines.remote import Remote

Commands = Mapping[str, Sequence[str]]

# Runs on a machine; prints, as JSON, the first line that each command prints there, and why others
# fail.
_ASK = """
import json, subprocess, sys
commands, folder = json.loads(sys.argv[1])
found, failed = {}, {}
for name, command in commands.items():
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=10,
        )
    except (OSError, subprocess.SubprocessError) as error:
        failed[name] = str(error)
        continue
    said = done.stdout.decode(errors="backslashreplace").splitlines()
    lines = [line.strip()[:200] for line in said if line.strip()]
    if lines and not done.returncode:
        found[name] = lines[0]
    else:
        failed[name] = f"exit status {done.returncode}, {lines[-1] if lines else 'no line'}"
print(json.dumps([found, failed]))
"""


class Answer(NamedTuple):
    """What commands for versions did on a machine: what they printed, or why they failed."""

    found: dict[str, str]
    failed: dict[str, str]


def require_sound(commands: Commands) -> None:
    """Raise ValueError if these are not names, each with the words of a command."""
    for name, words in commands.items():
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.+-]{0,39}", name):
            raise ValueError(f"{name!r} in versions is not a name such as 'redis'")
        if isinstance(words, str) or not words or not all(isinstance(word, str) for word in words):
            example = json.dumps(words.split() if isinstance(words, str) else [name, "--version"])
            raise ValueError(f"versions[{name!r}] must be a list of words, such as {example}")


def ask(remote: "Remote", commands: Commands, folder: str) -> Answer:
    """Return the first line that each command prints on a machine, or why it fails there.

    Arguments:
        remote: a machine that has the experiment's files.
        commands: by the names of the programs; `{python}` in one is the machine's lab Python.
        folder: the run's folder on the machine.
    """
    if not commands:
        return Answer({}, {})
    there = {name: words_on(remote, words) for name, words in commands.items()}
    order = json.dumps([there, remote.path(folder, FILES)])
    answer = remote.run([remote.access.python, "-ISc", _ASK, order])
    try:
        return Answer(*({k: str(v) for k, v in part.items()} for part in json.loads(answer)))
    except (TypeError, ValueError, AttributeError) as error:
        raise NotFit(
            "its Python printed something besides the versions of the programs",
            where=f"machine {remote.name}",
            hint=f"find out what {remote.access.python} prints there when it starts",
        ) from error


def words_on(remote: "Remote", words: Sequence[object]) -> list[str]:
    """Return the words of a command for a machine, with its lab Python for `{python}`."""
    return [str(word).replace(PYTHON, remote.access.python) for word in words]


def require_known(answers: Mapping[str, Answer], commands: Commands) -> None:
    """Raise LabError if no machine could say the version of one of the programs."""
    for name, words in commands.items():
        if not any(name in answer.found for answer in answers.values()):
            failed = {of: answer.failed[name] for of, answer in answers.items()}
            machine, why = next(iter(failed.items()))
            raise LabError(
                f"on no machine did the command for the version of {name} succeed and print a line:"
                f" {shlex.join(words)}",
                where="`versions` in @experiment",
                hint=f"correct it, or install {name} there",
                output=f"{machine}: {why}",
            )
