"""A program prints a million lines: what capture costs it, and when verdict and page are there."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import commands, inventories
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures, timed

_LINES = 1_000_000
_LIMIT_S = 300
_EXPERIMENT = commands.PROJECT / "benchmarks" / "printing"

_OWN, _WHOLE, _PEAK = "the program itself", "command to verdict and page", "largest process"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="printing",
        title=f"A program prints {_LINES:,} lines as fast as it can",
        figures=[
            Figure(name=_OWN, brief=True),
            Figure(name=_WHOLE, brief=True),
            Figure(name=_PEAK, text="{:.0f} MB", brief=True),
        ],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with inventories.inventory(pullers=0) as file:
        yield [
            Contender(name="the lab", turn=lambda: _by_lab(file)),
            Contender(
                name="by hand", turn=_by_hand, differs="`program > log`: no verdict, no page"
            ),
        ]


def _by_lab(inventory: Path) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--experiment", _EXPERIMENT, "--inventory", inventory, "--count", str(_LINES)]
        done = commands.run(commands.run_experiment(Path(folder), *flags), limit_s=_LIMIT_S)
        run = Path(folder, "latest").resolve()
        if not (run / "report.html").exists():
            raise ContenderError("the run has no page")
        own = _checked(next(run.glob("*/printing.log")), next(run.glob("*/printing.err")))
        return {_OWN: own, _WHOLE: done.seconds, _PEAK: done.peak_mb}


def _by_hand() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        log, errors = Path(folder, "log"), Path(folder, "errors")
        program = [sys.executable, _EXPERIMENT / "printing.py"]
        process = commands.started(program, log, errors, {"LAB_COUNT": str(_LINES)})
        with commands.ending(process):
            whole = timed(lambda: process.wait(_LIMIT_S))
        return {_OWN: _checked(log, errors), _WHOLE: whole}


def _checked(log: Path, errors: Path) -> float:
    """Return the program's own time; ContenderError unless the log is what it printed."""
    if log.read_bytes() != b"".join(b"line %d\n" % number for number in range(_LINES)):
        raise ContenderError(f"the log isn't the {_LINES:,} lines")
    return float(errors.read_text().split()[-1])
