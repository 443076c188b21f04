"""A program: what can be started on a machine, how it gets there, and how it is called."""

import os
import posixpath
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushpull.core.errors import LabError
from pushpull.core.vocabulary import AGENT, BROKER, FILES
from pushpull.machines.agent import connections
from pushpull.machines.installer import ENTER
from pushpull.machines.remote import Remote

# Reports a program's connections, see `ProtocolProgram.watched`.
_CONNECTIONS = Path(str(connections.__file__))
_WATCHER = "connections.py"
_ELF = b"\x7fELF"

# What the argv of a manifest has for the Python that runs it, for the folder of its files on the
# machine, and for the folder in which its packages are installed there.
PYTHON, HERE, PREFIX = "{python}", "{here}", "{prefix}"


class Program(ABC):
    """What a scenario can start by its name, which is its processes' name too.

    The properties are those of a program of which nothing is known but its file.
    """

    name: str

    @property
    def implementation(self) -> str:
        """Whose program it is, of those that speak the protocol; empty where it doesn't."""
        return ""

    @property
    def speaks_protocol(self) -> bool:
        """Whether it takes the flags of docs/program-protocol.md."""
        return bool(self.implementation)

    @property
    def says_ready(self) -> bool:
        """Whether it reports that it is ready."""
        return False

    @property
    def traces_messages(self) -> bool:
        """Whether it reports each message that it sends or receives."""
        return False

    @property
    def is_broker(self) -> bool:
        """Whether it is a server between senders and receivers, ready when it listens."""
        return False

    @property
    def by_line(self) -> bool:
        """Whether the C library must be kept from holding its lines back."""
        return False

    @property
    @abstractmethod
    def file(self) -> str:
        """The name that the user knows it by."""

    @property
    def ahead(self) -> Mapping[str, Path]:
        """What is deployed before the run begins, by its paths below the run's folder."""
        return {}

    @abstractmethod
    def argv(self, python: str, flags: Sequence[str], implementations: str = "") -> list[str]:
        """Return how it is called in the folder of the user's files; the lab's own lie beside it.

        Arguments:
            python: the machine's lab Python.
            flags: the words that follow.
            implementations: the machine's folder of what is installed for implementations.
        """

    @abstractmethod
    def deploy(self, remote: Remote, folder: str) -> None:
        """Make it ready to be started on a machine, in the run's folder there."""

    @abstractmethod
    def require_callable(self, flags: Mapping[str, Any]) -> None:
        """Raise LabError where it can't be started with these flags, as a scenario gives them."""


@dataclass(frozen=True)
class OwnProgram(Program):
    """A user's file: one of Python's is run by the machine's lab Python, any other by itself."""

    name: str
    path: Path

    @property
    def by_line(self) -> bool:
        return not self._is_python

    @property
    def file(self) -> str:
        return self.path.name

    @property
    def _is_python(self) -> bool:
        return self.path.suffix == ".py"

    def argv(self, python: str, flags: Sequence[str], implementations: str = "") -> list[str]:
        if self._is_python:
            return [python, self.path.name, *flags]
        return [posixpath.join(".", self.path.name), *flags]

    def deploy(self, remote: Remote, folder: str) -> None:
        """Let it be executed: it is there, with the rights that it has here.

        They may be those of a file system that knows none for execution.
        """
        if not self._is_python and not os.access(self.path, os.X_OK):
            remote.make_executable(folder, FILES, self.path.name)

    def require_callable(self, flags: Mapping[str, Any]) -> None:
        """Raise LabError, with a remedy, if no system could start it; it may take any flag."""
        if self._is_python:
            return
        with self.path.open("rb") as file:
            first = file.readline(256)
        if first.startswith(_ELF):
            return
        if not first.startswith(b"#!"):
            raise LabError(
                "this is not a program: its first line names no interpreter",
                where=f"{self.path}:1",
                hint="begin it with a line such as #!/bin/sh; if it needs compiling, start the"
                " compiled program",
            )
        if first.endswith(b"\r\n"):
            raise LabError(
                "the first line ends as on Windows, so no machine finds the interpreter",
                where=f"{self.path}:1",
                hint="save the file with UNIX line endings",
            )


@dataclass(frozen=True)
class LooseProgram(OwnProgram):
    """A user's file that is deployed alone, when it is first started."""

    def deploy(self, remote: Remote, folder: str) -> None:
        """Copy it, with the rights that it has here, and let it be executed."""
        remote.put(posixpath.join(folder, FILES), {self.path.name: self.path})
        super().deploy(remote, folder)


@dataclass(frozen=True)
class Command(Program):
    """What a machine has installed, by the words of its command line; PYTHON may be one."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:  # type: ignore[override]  # derived, where others have it from a file
        return re.sub(r"[^A-Za-z0-9_.-]", "", posixpath.basename(self.words[0])) or "command"

    @property
    def by_line(self) -> bool:
        return self.words[0] != PYTHON

    @property
    def file(self) -> str:
        return self.words[0]

    def argv(self, python: str, flags: Sequence[str], implementations: str = "") -> list[str]:
        return [python if word == PYTHON else word for word in self.words] + [*flags]

    def deploy(self, remote: Remote, folder: str) -> None:
        """Do nothing: it is there."""

    def require_callable(self, flags: Mapping[str, Any]) -> None:
        """Do nothing: only the machine knows."""


@dataclass(frozen=True, kw_only=True)
class ProtocolProgram(Program):
    """A program of an implementation of the protocol, as its manifest describes it.

    Attributes:
        owner: the name of the implementation.
        kind: what it is, such as `sender`.
        call: its argv as in the manifest, with PYTHON, HERE and PREFIX.
        files: what is deployed with it, by their names there.
        watched: the events of its connections that it doesn't report itself, so that the lab
            asks the kernel for them.
        offers: the flags, socket options and events that it has, as `--delay`, `SNDHWM`, `ready`.
        python: the Python that runs it, as installed; empty for the machine's lab Python.
        installed: the name of the folder in which its packages are installed; empty without any.
        declared: those that the experiment says it uses; None where it says nothing of that.
    """

    name: str
    owner: str
    kind: str
    call: tuple[str, ...]
    files: Mapping[str, Path]
    offers: frozenset[str]
    watched: frozenset[str] = frozenset()
    python: str = ""
    installed: str = ""
    declared: frozenset[str] | None = None

    @property
    def implementation(self) -> str:
        return self.owner

    @property
    def says_ready(self) -> bool:
        return "ready" in self.offers

    @property
    def traces_messages(self) -> bool:
        return bool({"sent", "received"} & self.offers)

    @property
    def is_broker(self) -> bool:
        return self.kind == BROKER

    @property
    def file(self) -> str:
        return f"{self.name} of {self.owner}"

    def argv(self, python: str, flags: Sequence[str], implementations: str = "") -> list[str]:
        values = {
            PYTHON: self.python or python,
            HERE: posixpath.join("..", self.folder),
            PREFIX: posixpath.join(implementations, self.installed),
        }
        before = []
        if self.watched and "--trace" in flags:
            script = posixpath.join("..", self.folder, _WATCHER)
            before += [python, "-IS", script, ",".join(sorted(self.watched))]
        if self.installed:
            before.append(posixpath.join(values[PREFIX], ENTER))
        return [*before, *(_filled(word, values) for word in self.call), *flags]

    @property
    def ahead(self) -> Mapping[str, Path]:
        """Return its files if the experiment says that it uses it; there are many that it may."""
        if self.declared is None:
            return {}
        return {posixpath.join(self.folder, name): path for name, path in self.deployed.items()}

    def deploy(self, remote: Remote, folder: str) -> None:
        if not self.ahead:
            remote.put(posixpath.join(folder, self.folder), self.deployed)

    def require_callable(self, flags: Mapping[str, Any]) -> None:
        """Raise LabError for a flag or socket option that it lacks, or that isn't declared."""
        wanted = {
            f"--{name.replace('_', '-')}" for name, value in flags.items() if value or value == 0
        }
        wanted |= {setting.partition("=")[0] for setting in settings(flags)}
        if missing := sorted(wanted - self.offers):
            raise LabError(
                f"{self.file} has no {', '.join(missing)}",
                hint=f"it offers: {', '.join(sorted(self.offers))}",
            )
        if self.declared is not None and (missing := sorted(wanted - self.declared)):
            raise LabError(
                f"{self.name} is started with {', '.join(missing)}, which is not declared",
                hint="name it in @experiment(uses=...), so that an implementation that lacks it is"
                " refused before the run",
            )

    @property
    def deployed(self) -> Mapping[str, Path]:
        """Return all that is deployed with it, by their names there."""
        return {**self.files, _WATCHER: _CONNECTIONS} if self.watched else self.files

    @property
    def folder(self) -> str:
        """Return the folder of its files, below that of the run on a machine."""
        return posixpath.join(AGENT, self.owner)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for placeholder, value in values.items():
        word = word.replace(placeholder, value)
    return word


def settings(flags: Mapping[str, Any]) -> list[str]:
    """Return the socket options among a scenario's flags, each as NAME=VALUE."""
    given = flags.get("set", [])
    return [given] if isinstance(given, str) else [*given]


def ahead(programs: Mapping[str, Program]) -> dict[str, Path]:
    """Return what is deployed of these programs before a run, see `Program.ahead`."""
    return {name: path for program in programs.values() for name, path in program.ahead.items()}
