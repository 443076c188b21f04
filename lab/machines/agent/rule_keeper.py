"""Changes a machine's network for as long as the harness renews the lease, then undoes the change.

Deployed to every machine; standard library only. Standard input first carries one JSON line: `do`
and `undo`, commands as lists of words, and `input` for the first command. After the last `do`
command it prints `done`, the UNIX time and CLOCK_MONOTONIC. The end of standard input, or LEASE_S
seconds of silence there, ends the change: a cut network must not outlive the harness that cut it.
A user other than root needs sudo without a password.
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
    # A closing SSH server must not end it before the change is undone; SIGTERM undoes it first.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    order = json.loads(read_line())
    try:
        failed = do_all(order["do"], order["input"])
        print(failed or f"done {time.time()!r} {time.monotonic()!r}", flush=True)
        if failed:
            order["undo"] = []  # it would remove a queueing discipline that was there before
        else:
            wait_for_silence()
    finally:
        do_all(order["undo"], "")


def do_all(commands: "list[list[str]]", first_input: str) -> str:
    """Run commands as root, one after another; return the error of the first that fails."""
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
    """Read one line without a buffer, which would hide later data from select."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit("rule keeper: no order arrived")
        line += byte
    return line


def wait_for_silence() -> None:
    """Return at the end of standard input, or after LEASE_S seconds of silence."""
    while select.select([0], [], [], LEASE_S)[0]:
        if not os.read(0, 4096):
            return


if __name__ == "__main__":
    main()
