"""Fabric's own program, with this project's exit codes and from any folder."""

import getpass
import os
import sys
import traceback
from pathlib import Path

from fabric import Config, Executor
from fabric import __version__ as fabric_version
from fabric.main import Fab
from invoke.exceptions import ParseError

from lab.core import os_errors
from lab.core.errors import ExitCode


class _Config(Config):  # type: ignore[misc]  # Fabric has no types
    """Reads no file of the user's: ~/.fabric.yaml isn't for us, and most tasks reach no host.

    Their ssh_config is read for hosts of theirs, see lab/machines/ssh_config.py.
    """

    def load_base_conf_files(self) -> None:
        """Load nothing."""

    def load_ssh_config(self) -> None:
        """Load nothing."""


class LabProgram(Fab):  # type: ignore[misc]
    """Fabric's program, where a mistake on the command line exits 2, Ctrl-C 4 and a bug 70."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Run the tasks of `argv` (`sys.argv` when None), then leave with SystemExit."""
        try:
            super().run(argv, exit)
        except SystemExit as stop:
            raise SystemExit(_exit_code(stop)) from None
        except Exception as error:
            if mistake := os_errors.diagnose(error):
                print(mistake, file=sys.stderr)
                raise SystemExit(ExitCode.MISTAKE) from None
            traceback.print_exc()
            raise SystemExit(ExitCode.BUG) from None

    def create_config(self) -> None:
        """Configure Fabric. It asks for the user's name, which one of a container may not have."""
        try:
            getpass.getuser()
        except (KeyError, OSError):  # KeyError until Python 3.12
            os.environ["LOGNAME"] = str(os.getuid())
        super().create_config()

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the flags before the first task."""
        keep_bytecode = not sys.dont_write_bytecode
        try:
            super().parse_core(argv)
        except ValueError as error:  # a number flag of Fabric's own that got a word
            raise ParseError(str(error)) from error
        # Fabric turns bytecode files off, and the lab would be compiled anew at every start.
        sys.dont_write_bytecode = not keep_bytecode

    def load_collection(self) -> None:
        """Load the fabfile beside `fab`, whatever the current folder is."""
        self.config.tasks.search_root = str(Path(__file__).parents[1])
        super().load_collection()


def program() -> LabProgram:
    """Return the program, ready to run."""
    return LabProgram(
        name="Fabric",
        version=fabric_version,
        binary="fab",
        binary_names=["fab"],
        executor_class=Executor,
        config_class=_Config,
    )


def _exit_code(stop: SystemExit) -> int | str | None:
    """Return the contract's code for Fabric's, which are 1 for a parser's error and for Ctrl-C."""
    if isinstance(stop.__context__, ParseError):
        print("  What there is: ./fab --list, ./fab --help TASK", file=sys.stderr)
        return ExitCode.MISTAKE
    if isinstance(stop.__context__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return stop.code
