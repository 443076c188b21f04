"""The program `fab`, with this project's exit codes, usable from any folder.

Fabric's own is Invoke's, with flags for hosts that the tasks here don't have. Its import would
bring the SSH library, which takes longer than most tasks.
"""

import getpass
import os
import shlex
import sys
import traceback
from typing import Any

from pushpull import __version__
from pushpull.cli import unneeded
from pushpull.core import os_errors
from pushpull.core.errors import ExitCode
from pushpull.core.project import COMMAND, IS_CLONE, SHIPPED

with unneeded.by_invoke():
    from invoke import Config, Executor, Program
    from invoke.exceptions import ParseError

_NO_COMMAND = "only `ssh` takes a command after --"


class _Config(Config):
    """Reads none of the user's files: ~/.invoke.yaml is for other projects."""

    prefix = "fabric"

    def load_base_conf_files(self) -> None:
        """Load nothing."""

    @staticmethod
    def global_defaults() -> dict[str, Any]:
        """Return the settings: those of Invoke, but the tasks are in a fabfile."""
        defaults = Config.global_defaults()
        defaults["tasks"]["collection_name"] = "fabfile"
        return defaults


class _Executor(Executor):
    """Gives `fab ssh` what follows `--`, as a command line."""

    core: Any

    def expand_calls(self, calls: Any) -> Any:
        """Return the calls of tasks that are to be made, in order."""
        if command := self.core.remainder:
            if [call.task.name for call in calls] != ["ssh"]:
                raise ParseError(_NO_COMMAND)
            calls[0].kwargs["command"], self.core.remainder = command, ""
        return super().expand_calls(calls)


class LabProgram(Program):
    """Invoke's program; it exits with 2 for a usage error, 4 for Ctrl-C and 70 for a bug."""

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
        """Configure Invoke; Fabric will ask for the user's name, and a container may have none."""
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
        except ValueError as error:  # one of Invoke's numeric flags got a word
            raise ParseError(str(error)) from error
        if len(words := self.argv[1 + self.argv.index("--") :] if self.core.remainder else []) > 1:
            self.core.remainder = shlex.join(words)  # Invoke forgets where each one ends
        # Invoke turns off bytecode files; then every start would compile the lab again.
        sys.dont_write_bytecode = not keep_bytecode

    def no_tasks_given(self) -> None:
        """Print the help, unless there is a command for which a task is missing."""
        if self.core.remainder:
            raise ParseError(_NO_COMMAND)
        super().no_tasks_given()

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
    """Return our exit code: Invoke exits with 1 for both a usage error and Ctrl-C."""
    if isinstance(stop.__context__, ParseError):
        print(f"  See {COMMAND} --list, or {COMMAND} --help TASK", file=sys.stderr)
        return ExitCode.MISTAKE
    if isinstance(stop.__context__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return stop.code
