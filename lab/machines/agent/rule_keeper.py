"""Holds a change of a machine's network for as long as the harness speaks, then undoes it.

Deployed to every machine; standard library only. Standard input first brings one line, JSON: `do`
and `undo`, commands as lists of words, and `input` for the first of them. When all of `do` has
been done it prints `done`, the UNIX time and CLOCK_MONOTONIC. The end of standard input, or LEASE_S
seconds without a word, ends the change: a cut network must not outlive the harness that cut it. Who
isn't root here needs sudo without a password.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time

LEASE_S = 30


def main() -> None:
    # A server's good-bye must not come before ours; one that is told to end undoes it first.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    order = json.loads(read_line())
    try:
        failed = do_all(order["do"], order["input"])
        print(failed or f"done {time.time()!r} {time.monotonic()!r}", flush=True)
        if failed:
            order["undo"] = []  # it would undo another's: a queueing discipline that was there
        else:
            wait_for_silence()
    finally:
        do_all(order["undo"], "")


def do_all(commands: "list[list[str]]", first_input: str) -> str:
    """Run commands as root, one after another; return what the first that fails says."""
    for command in commands:
        words = command if os.geteuid() == 0 else ["sudo", "-n", *command]
        try:
            done = subprocess.run(words, input=first_input, capture_output=True, text=True)
        except OSError as error:
            return f"{words[0]}: {error.strerror}"
        if done.returncode:
            return f"{' '.join(command)}: {done.stderr.strip() or done.returncode}"
        first_input = ""
    return ""


def read_line() -> bytes:
    """Read one line by hand: a buffer would hide what follows it from select."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit("guard: no order came")
        line += byte
    return line


def wait_for_silence() -> None:
    """Return when standard input ends, or has brought nothing for LEASE_S seconds."""
    while select.select([0], [], [], LEASE_S)[0]:
        if not os.read(0, 4096):
            return


if __name__ == "__main__":
    main()
