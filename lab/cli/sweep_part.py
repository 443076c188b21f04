"""One run of a sweep, in its own process: `python -m lab.cli.sweep_part JSON`.

The argument has `experiment`, `provider`, `inventory` and `runs`. Standard output gets only the
result, as JSON: the exit `code`, the run's `directory` and, in `said`, the message of an error.
When standard input ends, the sweep has ended in whatever way, and the run is interrupted.
"""

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from lab.cli import run_experiment
from lab.cli.call import Call
from lab.core.errors import ExitCode, LabError
from lab.machines.inventory import load


def main() -> None:
    """Run what the argument names; an unexpected exception is a bug, and leaves no result."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    wanted = json.loads(sys.argv[1])
    threading.Thread(target=_interrupt_at_end_of_input, daemon=True).start()
    result = {"code": ExitCode.INTERRUPTED, "directory": None, "said": "interrupted"}
    with contextlib.suppress(KeyboardInterrupt), contextlib.redirect_stdout(sys.stderr):
        result = _run(wanted)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(json.dumps(result))


def _run(wanted: dict[str, str]) -> dict[str, Any]:
    call = Call(
        experiment=wanted["experiment"],
        provider=wanted["provider"],
        inventory=load(Path(wanted["inventory"])),
        count=None,
        interval=None,
        options=(),
        keep=False,
        packets=False,
        runs=Path(wanted["runs"]),
    )
    try:
        (result,) = run_experiment.run_all(call)
    except LabError as error:
        return {"code": ExitCode.MISTAKE, "directory": None, "said": str(error)}
    run_experiment.make_pages([result])
    said = str(result.error) if result.error else result.note
    return {"code": result.code, "directory": str(result.path), "said": said}


def _interrupt_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
