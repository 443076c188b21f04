"""What `./fab` runs: Fabric's own program, with this project's exit codes and from any folder."""

import sys

from lab import starting

# Before all other imports: see there. Where it isn't wanted it ends with this process, unnoticed.
if "run-experiment" in sys.argv and not {"ssh", "vagrant"} & set(sys.argv):
    starting.prepare()

import contextlib
import getpass
import os
import traceback
from pathlib import Path
from typing import NoReturn

from fabric import Config, Executor
from fabric import __version__ as fabric_version
from fabric.main import Fab
from invoke.exceptions import ParseError

from lab.errors import ExitCode


class LabProgram(Fab):  # type: ignore[misc]  # Fabric has no types
    """Fabric's program, where a mistake on the command line exits 2, Ctrl-C 4 and a bug 70."""

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:
        """Run the tasks of `argv` (`sys.argv` when None), then leave with SystemExit."""
        try:
            super().run(argv, exit)
        except SystemExit as stop:
            raise SystemExit(_exit_code(stop)) from None
        except BrokenPipeError:  # whoever read our output left
            raise SystemExit(ExitCode.INTERRUPTED) from None
        except Exception:
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


def _exit_code(stop: SystemExit) -> int | str | None:
    """Return the contract's code for Fabric's, which are 1 for a parser's error and for Ctrl-C."""
    if isinstance(stop.__context__, ParseError):
        print("  What there is: ./fab --list, ./fab --help TASK", file=sys.stderr)
        return ExitCode.MISTAKE
    if isinstance(stop.__context__, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    return stop.code


def _leave(code: int | str | None) -> NoReturn:
    """End as `sys.exit` does, but at once: to take all modules apart costs a tenth of a second."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = ExitCode.UNEXPECTED
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError):
            stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    try:
        LabProgram(
            name="Fabric",
            version=fabric_version,
            binary="fab",
            binary_names=["fab"],
            executor_class=Executor,
            config_class=Config,
        ).run()
    except SystemExit as stop:
        _leave(stop.code)
    _leave(ExitCode.EXPECTED)
