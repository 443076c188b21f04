"""Runs a command line to its end, whatever that is."""

import gc
import mmap
import sys
from collections.abc import Callable

from pushpull.cli import first_look, interrupts
from pushpull.core import output

# The address space that the imports of any command take, beyond the interpreter's.
_IMPORTS_BYTES = 170 << 20

# New objects before a garbage collection; Python's 700 cost a tenth of the time of the imports.
_COLLECTED = 50_000


def run(prepare: Callable[[str | None], None]) -> int:
    """Run the command line in this process, and return its exit code.

    Arguments:
        prepare: gets the provider of a run, before the long imports; None if that is unclear.
    """
    interrupts.leave_at_once()
    output.make_safe()
    gc.set_threshold(_COLLECTED)
    code: int | str | None
    try:
        _require_memory()
        seen = first_look.provider_and_inventory(sys.argv[1:])
        prepare(seen[0] if seen else None)
        code = _run()
    except Exception as error:  # not even the imports finished
        from pushpull.core import os_errors

        if (mistake := os_errors.diagnose(error)) is None:
            raise
        code = str(mistake)
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 2
    output.finish()
    return code or 0


def _require_memory() -> None:
    # Libraries that run out of memory while they are imported end the process as they like.
    mmap.mmap(-1, _IMPORTS_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()


def _run() -> int | str | None:
    if sys.flags.optimize > 1:
        return "Python runs without docstrings, which have the tasks' help: unset PYTHONOPTIMIZE"
    from pushpull.cli.command_line import program

    try:
        program().run()
    except SystemExit as stop:
        return stop.code
    return 0
