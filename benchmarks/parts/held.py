"""What a held line costs: a program prints as fast as it can, under a launcher alone."""

import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures, only
from pushpull.machines.agent import launcher

_LINES = 50_000
_LIMIT_S = 120
# A static program would print faster; the call in which it stands takes the same time.
_FLOOD = f"import os\nfor n in range({_LINES}): os.write(1, b'%d\\n' % n)"
_ELAPSED, _CPU = "a line", "of it computing"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="held",
        title=f"A held program prints {_LINES:,} lines as fast as it can",
        figures=[
            Figure(name=_ELAPSED, text="{:.1f} us", brief=True),
            Figure(name=_CPU, text="{:.1f} us"),
        ],
        contenders=lambda: only(
            Contender(
                name="held until a line by its number",
                turn=lambda: _turn(f"count {_LINES + 1}"),
            ),
            Contender(
                name="until a line by its beginning",
                turn=lambda: _turn("start x"),
                differs="each line is compared with the text",
            ),
            Contender(
                name="released",
                turn=lambda: _turn("free"),
                differs="its calls are still reported, and passed on unread",
            ),
            Contender(
                name="not held",
                turn=lambda: _turn(None),
                differs="started without `held=True`: it writes into the pipe itself",
            ),
        ),
    )


def _turn(order: str | None) -> Figures:
    """Let the program print under a launcher: held, with this order; or not held."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "notes")
        argv = [sys.executable, "-ISc", _FLOOD]
        orders = launcher.order(argv, {}, folder, str(notes), held=order is not None)
        if order is not None:
            orders += b"%d\n%d\n%s" % (launcher.HOLD_ORDER, len(order), order.encode())
        computed, begun = _cpu_s(), time.monotonic()
        lines = _launched(orders)
        elapsed, computed = time.monotonic() - begun, _cpu_s() - computed
        _check(lines, notes.read_text(), order)
    return {_ELAPSED: elapsed / _LINES * 1e6, _CPU: computed / _LINES * 1e6}


def _launched(orders: bytes) -> int:
    """Start a launcher with these orders; return how many lines came until its end."""
    command = [sys.executable, "-IS", str(launcher.__file__)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
        commands.ending(process),
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orders)
        process.stdin.flush()
        lines, end = 0, time.monotonic() + _LIMIT_S
        while select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))[0]:
            if not (data := os.read(process.stdout.fileno(), 1 << 16)):
                process.wait()
                return lines
            lines += data.count(b"\n")
    raise ContenderError(f"not done after {_LIMIT_S} s")


def _check(lines: int, notes: str, order: str | None) -> None:
    """Raise ContenderError unless all lines came, and the program was held if it was to be."""
    held = "held-from" in notes and "not-held" not in notes
    if lines != _LINES:
        raise ContenderError(f"{lines:,} lines came instead of {_LINES:,}")
    if held != (order is not None):
        raise ContenderError(f"the launcher noted {notes.split()}")


def _cpu_s() -> float:
    """Return how long ended programs and their launchers have computed so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
