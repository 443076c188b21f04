"""Fabric's program, with this project's exit codes, usable from any folder."""

import getpass
import os
import sys
import traceback
from typing import Any

from fabric import Config, Executor
from fabric.main import Fab
from invoke.exceptions import ParseError

from pushpull import __version__
from pushpull.core import os_errors
from pushpull.core.errors import ExitCode
from pushpull.core.project import COMMAND, IS_CLONE, SHIPPED


class _Config(Config):  # type: ignore[misc]  # Fabric has no types
    """Reads none of the user's files: ~/.fabric.yaml is for other projects.

    lab/machines/ssh_config.py reads their ssh_config, for their own hosts only.
    """

    def load_base_conf_files(self) -> None:
        """Load nothing."""

    def load_ssh_config(self) -> None:
        """Load nothing."""


class _Executor(Executor):  # type: ignore[misc]
    """Gives `fab ssh` what follows `--`, as a command line, where Fabric wants hosts for it."""

    def expand_calls(self, calls: Any, apply_hosts: bool = True) -> Any:
        """Return the calls of tasks that are to be made, in order."""
        if command := self.core.remainder:
            if [call.task.name for call in calls] != ["ssh"]:
                raise ParseError("only `ssh` takes a command after --")
            calls[0].kwargs["command"], self.core.remainder = command, ""
        return super().expand_calls(calls, apply_hosts)


class LabProgram(Fab):  # type: ignore[misc]
    """Fabric's program; it exits with 2 for a usage error, 4 for Ctrl-C and 70 for a bug."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Run the tasks in `argv` (`sys.argv` if None), then raise SystemExit."""
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
        """Configure Fabric, which asks for the user's name; in a container there may be none."""
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
        except ValueError as error:  # one of Fabric's numeric flags got a word
            raise ParseError(str(error)) from error
        # Fabric turns off bytecode files; then every start would compile the lab again.
        sys.dont_write_bytecode = not keep_bytecode

    def load_collection(self) -> None:
        """Load the lab's fabfile, from any current folder."""
        self.config.tasks.search_root = str(SHIPPED)
        super().load_collection()


def program() -> LabProgram:
    """Return the program, ready to run."""
    return LabProgram(
        name="push-pull lab",
        version=__version__,
        binary="fab" if IS_CLONE else COMMAND,
        binary_names=["fab"] if IS_CLONE else [COMMAND],
        executor_class=_Executor,
        config_class=_Config,
    )


def _exit_code(stop: SystemExit) -> int | str | None:
    """Return our exit code: Fabric exits with 1 for both a usage error and Ctrl-C."""
    if isinstance(stop.__context__, ParseError):
        print(f"  See {COMMAND} --list, or {COMMAND} --help TASK", file=sys.stderr)
        return ExitCode.MISTAKE
    if isinstance(stop.__context__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return stop.code
