"""A program: a file that can be started on a machine, and how."""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from lab.core.errors import LabError
from lab.core.vocabulary import AGENT

_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Program:
    """A file that is deployed; one of the lab's own (`ours`) takes the lab's flags, and traces."""

    name: str
    path: Path
    ours: bool

    @property
    def is_python(self) -> bool:
        """Whether a Python runs it; any other file is executed."""
        return self.path.suffix == ".py"

    def argv(self, python: str, flags: list[str]) -> list[str]:
        """Return how it is called in the folder of the user's files; the lab's own lie beside it.

        Python files are run by the machine's lab Python, any other file by itself.
        """
        if self.is_python:
            folder = posixpath.join("..", AGENT) if self.ours else ""
            return [python, posixpath.join(folder, self.path.name), *flags]
        return [posixpath.join(".", self.path.name), *flags]

    def require_runnable(self) -> None:
        """Raise LabError for a program of the user's that no system could start, with the hint."""
        path = self.path
        if self.ours or self.is_python:
            return
        with path.open("rb") as file:
            first = file.readline(256)
        if first.startswith(_ELF):
            return
        if not first.startswith(b"#!"):
            raise LabError(
                "this is no program: its first line names no interpreter",
                where=f"{path}:1",
                hint="begin it with a line such as #!/bin/sh; build what is to be compiled, and"
                " start the result",
            )
        if first.endswith(b"\r\n"):
            raise LabError(
                "the first line ends as on Windows, and no machine finds that interpreter",
                where=f"{path}:1",
                hint="save the file with UNIX line ends",
            )
