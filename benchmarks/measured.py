"""Runs one command, and writes its time, exit status and memory as JSON into a file.

`python -ISE measured.py REPORT LIMIT_S COMMAND ...`. It is a process of its own because the kernel
counts the memory of the process that starts a command as that command's. A command that takes
longer than its limit, or longer than the life of the benchmark, is interrupted as by Ctrl-C, so
that it can clean up; only if it doesn't end then is it killed.
"""

import ctypes
import json
import resource
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_GRACE_S = 30


class _EndedError(Exception):
    pass


def main() -> None:
    report, limit_s, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    end_with_parent()
    start = time.monotonic()
    process = subprocess.Popen(command, preexec_fn=end_with_parent)
    cut = False
    try:
        process.wait(limit_s)
    except (subprocess.TimeoutExpired, _EndedError):
        cut = True
        _interrupt(process)
    measured = {
        "started": start,
        "seconds": time.monotonic() - start,
        "status": process.returncode,
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6,
        "cut": cut,
    }
    with open(report, "w") as file:  # noqa: PTH123  # pathlib would be one more import
        json.dump(measured, file)


def end_with_parent() -> None:
    """Let the kernel end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end has begun
    raise _EndedError


def _interrupt(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
