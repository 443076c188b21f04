"""A flood of lines, shown on a terminal while it is recorded: does the live view keep up?"""

import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures, only
from pushpull.runs import store
from pushpull.runs.store import StoredRun
from tests import screen

_FLOOD = Path(__file__).parents[1] / "flood"
_COUNTED = re.compile(rb"push \(([\d,]+) lines?\)")  # at the foot of the view


_RATE, _AGE, _OLDEST, _CPU = (
    "lines a second",
    "age of the newest line shown, median",
    "at most",
    "processors busy",
)


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="view",
        title="The live view, 120 x 40, of three machines that print without end",
        figures=[
            Figure(name=_RATE, text="{:,.0f}"),
            Figure(name=_AGE, text="{:.3f} s"),
            Figure(name=_OLDEST, text="{:.3f} s"),
            Figure(name=_CPU, text="{:.2f}"),
        ],
        contenders=lambda: only(Contender(name="the lab", turn=_shown)),
    )


def _shown() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pushpull", "run-experiment", "--experiment", str(_FLOOD)]
        before = _cpu()
        printed = screen.printed([*command, "--runs", folder], columns=120, lines=40)
        seen = [(time.time(), chunk) for chunk in printed]
        cpu = _cpu() - before
        stored = store.load(store.find(Path(folder), None))
        if not _is_exact(stored):
            raise ContenderError("the logs aren't what was printed")
        times = [record.t for record in stored.records if record.stream == "stdout"]
        took = max(times) - min(times)
        lags = list(_lags(stored, seen))
        return {
            _RATE: len(times) / took, _AGE: median(lags), _OLDEST: max(lags), _CPU: cpu / took
        }  # fmt: skip


def _lags(stored: StoredRun, seen: list[tuple[float, bytes]]) -> Iterator[float]:
    captured = [r.t for r in stored.records if (r.machine, r.stream) == ("push", "stdout")]
    before = 0
    for t, chunk in seen:
        for found in _COUNTED.finditer(chunk):
            count = int(found[1].replace(b",", b""))
            if count > before:
                yield t - captured[count - 1]
                before = count


def _is_exact(stored: StoredRun) -> bool:
    wanted = b"".join(
        b"line %d\n" % number for number in range(stored.description["parameters"]["count"])
    )
    logs = list(stored.path.glob("*/flood.log"))
    return len(logs) == 3 and all(log.read_bytes() == wanted for log in logs)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
