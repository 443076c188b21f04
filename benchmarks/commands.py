"""Runs the commands of contenders: bounded in time, and ended with the benchmark."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frame import ContenderError
from benchmarks.measured import end_with_parent

PROJECT = Path(__file__).parents[1]
PROGRAMS = PROJECT / "lab" / "experiments" / "programs" / "pyzmq"
# Namespaces in which a contender may do what it wants; with its first process all of it ends.
OWN_NAMESPACES = (
    "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child",
    "--mount-proc",
)  # fmt: skip

_MEASURED = Path(__file__).with_name("measured.py")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ran: start (CLOCK_MONOTONIC), seconds, exit status, standard output, memory.

    The memory is that of its largest process, in MB.
    """

    started: float
    seconds: float
    status: int
    output: str
    peak_mb: float


def run(
    command: Sequence[object],
    *,
    limit_s: float,
    allowed: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
    folder: Path = PROJECT,
) -> Done:
    """Run a command in a folder.

    Raises:
        ContenderError: it can't be started, it took longer than `limit_s`, or its exit status isn't
            an allowed one; with the last line that it printed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report, output, errors = (Path(scratch, name) for name in ("report", "output", "errors"))
        measured = [sys.executable, "-ISE", _MEASURED, report, str(limit_s), *command]
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            # In a session of its own, so that Ctrl-C interrupts it once, from here.
            process = subprocess.Popen(
                [str(word) for word in measured],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            with ending(process):
                process.wait()
        said = errors.read_text(errors="replace").strip() or output.read_text(errors="replace")
        last = (said.strip().splitlines() or ["it printed nothing"])[-1]
        if not report.exists():
            raise ContenderError(f"{command[0]} can't be started: {last}")
        found = json.loads(report.read_text())
        if found["cut"]:
            raise ContenderError(f"not done after {limit_s:.0f} s")
        if found["status"] not in allowed:
            raise ContenderError(f"exit status {found['status']}: {last}")
        return Done(
            found["started"],
            found["seconds"],
            found["status"],
            output.read_text(errors="replace"),
            found["peak_mb"],
        )


@contextlib.contextmanager
def ending(*processes: "subprocess.Popen[bytes]") -> Iterator[None]:
    """End processes with the block, whatever ends it, and wait for them."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            process.wait()


def started(
    command: Sequence[object],
    stdout: Path,
    stderr: Path,
    environment: Mapping[str, str] | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program by hand, as in a shell with `> stdout 2> stderr &`."""
    with stdout.open("wb") as out, stderr.open("wb") as err:
        return subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )


def run_experiment(runs: Path, *flags: object) -> list[object]:
    """Return the command of one run by the lab, with a folder for it."""
    return ["./fab", "run-experiment", "--provider", "namespaces", "--runs", runs, *flags]
