"""What a machine says of a silent program: whether it sleeps, computes, is stopped, or waits."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushpull.machines.agent import launcher, standstill

_SAYS = "import os, select, threading, time, zmq; print(os.getpid(), flush=True); "
_WAITS = "socket = zmq.Context().socket(zmq.PULL); socket.bind_to_random_port('tcp://127.0.0.1'); "


@contextlib.contextmanager
def program(does: str) -> Iterator[tuple[int, int]]:
    """Run a program below a shell, as programs are below a launcher; yield both process ids."""
    command = ["sh", "-c", '"$@"; :', "sh", sys.executable, "-c", _SAYS + does]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        pid = int(shell.stdout.readline())
        try:
            yield shell.pid, pid
        finally:
            os.kill(pid, signal.SIGKILL)


def told(launcher_pid: int, tmp_path: Path) -> list[list[str]]:
    notes = tmp_path / "notes"
    notes.write_text(f"pid {launcher_pid}\nheld-from 1.0\n")
    script = [sys.executable, "-IS", str(standstill.__file__), str(notes)]
    said = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    return [line.split() for line in said.splitlines()]


@pytest.mark.parametrize(
    ("does", "word"),
    [
        ("time.sleep(60)", "sleeps"),
        ("exec('while True: pass')", "computes"),
        (
            "threading.Thread(target=time.sleep, args=[60]).start(); exec('while True: pass')",
            "computes",
        ),
        (_WAITS + "socket.recv()", ""),
        (_WAITS + "socket.poll(60_000)", ""),
        (_WAITS + "threading.Thread(target=time.sleep, args=[60]).start(); socket.recv()", ""),
        ("select.select([], [], [], 60)", ""),
        ("exec('while True: time.sleep(0.02)')", ""),
    ],
)
def test_what_a_program_does(does: str, word: str, tmp_path: Path) -> None:
    with program(does) as (above, pid):
        _settle(pid, asleep=word == "sleeps")
        said = told(above, tmp_path)
    assert [line[:2] for line in said] == ([[word, str(pid)]] if word else [])


def test_a_stopped_one(tmp_path: Path) -> None:
    with program("time.sleep(60)") as (above, pid):
        os.kill(pid, signal.SIGSTOP)
        while launcher.descendants(above)[0][2] != "T":
            os.sched_yield()
        (said,) = told(above, tmp_path)
    assert said[:2] == ["stopped", str(pid)]


def _settle(pid: int, *, asleep: bool) -> None:
    """Wait until a program is where it stays: after its line it comes to it at once."""
    while standstill.look(pid).sleeps != asleep and asleep:
        os.sched_yield()
