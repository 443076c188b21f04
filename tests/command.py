"""Calls `fab` as a user does, whole or line by line."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import warm_fab

from pushpull.runs import store
from pushpull.runs.store import StoredRun

PROJECT = Path(__file__).parents[1]
FAB = (sys.executable, "-P", "-m", "pushpull")


def fab(
    *arguments: object,
    within: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 100,
) -> subprocess.CompletedProcess[str]:
    """Run `fab` to its end; `within` is a command that runs it."""
    names = {*(environment or ())}
    if not within and not any(name.startswith(("PYTHON", "LD_")) for name in names):
        whole = os.environ | (environment or {})
        return warm_fab.run([*map(str, arguments)], whole, cwd or Path.cwd(), timeout)
    return subprocess.run(
        [*within, *FAB, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        errors="backslashreplace",
        text=True,
        env=os.environ | (environment or {}),
        cwd=cwd,
        timeout=timeout,
    )


@contextlib.contextmanager
def started(
    *arguments: object, environment: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start `fab` in a session of its own; its output can be read while it runs."""
    with subprocess.Popen(
        [*FAB, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | (environment or {}),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate()


def read_until(process: "subprocess.Popen[str]", word: str) -> str:
    """Read a command's output to the line with this word, and return what was read.

    It takes nothing beyond that line: what a buffer holds, `communicate` would not give.
    """
    assert process.stdout is not None
    descriptor, encoding = process.stdout.fileno(), process.stdout.encoding
    said = line = b""
    while byte := os.read(descriptor, 1):
        line += byte
        if byte == b"\n":
            said, last, line = said + line, line, b""
            if word in last.decode(encoding):
                return said.decode(encoding)
    raise AssertionError(f"it never said {word!r}:\n{(said + line).decode(encoding)}")


def only_run(root: Path) -> Path:
    """Return the only run directory in a folder of runs."""
    (path,) = root.glob("*Z-*")
    return path


def runs_in_order(root: Path) -> list[StoredRun]:
    """Return the runs in a folder, the earliest first; their names order them only by seconds."""
    runs = [store.load(path) for path in root.glob("*Z-*")]
    return sorted(runs, key=lambda run: float(run.description["started"]))


def verdicts(run: Path) -> list[dict[str, Any]]:
    """Return the content of a run's verdicts.json."""
    found: list[dict[str, Any]] = json.loads((run / "verdicts.json").read_text())
    return found


def events(run: Path) -> list[dict[str, Any]]:
    """Return what a run's events.jsonl holds."""
    return [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]


def able_to_mount() -> tuple[str, ...]:
    """Return the command under which one can mount without privileges; skip where there is none."""
    alone = ("unshare", "--user", "--map-root-user", "--mount")
    available = shutil.which("unshare") and not subprocess.run([*alone, "true"]).returncode
    if not available and os.environ.get("CI") != "true":
        pytest.skip("unprivileged user namespaces are not available")
    return alone
