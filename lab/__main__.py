"""What `./fab` runs: it sets up signals and streams first, before the long imports."""

from pushpull.cli import interrupts

if __name__ == "__main__":
    interrupts.leave_at_once()

import gc
import mmap
import os
import sys
from typing import NoReturn

from pushpull.cli import first_look
from pushpull.core import output
from pushpull.machines.providers.embedded import early_start

# The address space that the imports of any command take, beyond the interpreter's.
_IMPORTS_BYTES = 170 << 20

# New objects before a garbage collection; Python's 700 cost a tenth of the time of the imports.
_COLLECTED = 50_000


def main() -> NoReturn:
    """Run the command line, and end with its exit code."""
    interrupts.leave_at_once()
    output.make_safe()
    gc.set_threshold(_COLLECTED)
    try:
        _require_memory()
        # If it isn't used after all, it silently ends with this process.
        early_start.prepare(first_look.provider_of_run(sys.argv[1:]))
        _leave(_run())
    except Exception as error:  # not even the imports finished
        from pushpull.core import os_errors

        if (mistake := os_errors.diagnose(error)) is None:
            raise
        print(mistake, file=sys.stderr)
        _leave(2)


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


def _leave(code: int | str | None) -> NoReturn:
    """Exit like `sys.exit`, but at once: tearing down all modules takes a tenth of a second."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 2
    output.finish()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
