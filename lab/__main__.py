"""What `./fab` runs: it sets up signals and streams first, before the long imports."""

from pushpull.cli import interrupts

if __name__ == "__main__":
    interrupts.leave_at_once()

import os
import sys
from typing import NoReturn

from pushpull.cli import kept_warm
from pushpull.core import output


def main() -> NoReturn:
    """Run the command line, and end with its exit code."""
    interrupts.leave_at_once()
    output.make_safe()
    code = kept_warm.call(sys.argv[1:])
    if code is None:
        from pushpull.cli import command
        from pushpull.machines.providers.embedded import early_start

        code = command.run(early_start.prepare)  # if it isn't used, it ends with this process
    os._exit(code)  # at once: tearing down all modules takes a tenth of a second


if __name__ == "__main__":
    main()
