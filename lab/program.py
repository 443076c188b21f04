"""A program: a file that can be started on a machine, and how."""

import posixpath
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

# C's standard library holds a pipe's lines back until there are 4 KiB: stdbuf tells it not to.
_BY_LINES = 'command -v stdbuf >/dev/null && exec stdbuf -oL "$0" "$@"; exec "$0" "$@"'
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Program:
    """A file that is deployed; one of the lab's own (`ours`) takes the lab's flags, and traces."""

    name: str
    path: Path
    ours: bool

    def argv(self, python: str, flags: list[str]) -> list[str]:
        """Return how it is called in its folder: Python files by the machine's lab Python."""
        if self.path.suffix == ".py":
            return [python, self.path.name, *flags]
        return ["sh", "-c", _BY_LINES, posixpath.join(".", self.path.name), *flags]

    def require_runnable(self) -> None:
        """Raise LabError for a program of the user's that no system could start, with the cure."""
        path = self.path
        if self.ours or path.suffix == ".py":
            return
        with path.open("rb") as file:
            first = file.readline(256)
        if first.startswith(_ELF):
            return
        if not first.startswith(b"#!"):
            raise LabError(
                "this is no program: its first line names no interpreter",
                where=f"{path}:1",
                cure="begin it with a line such as #!/bin/sh; build what is to be compiled, and"
                " start the result",
            )
        if first.endswith(b"\r\n"):
            raise LabError(
                "the first line ends as on Windows, and no machine finds that interpreter",
                where=f"{path}:1",
                cure="save the file with UNIX line ends",
            )
