"""A flood of lines, shown on a terminal while it is recorded: does the live view keep up?"""

import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.runs import store
from lab.runs.store import StoredRun
from tests import screen

_FLOOD = Path(__file__).with_name("flood")
_COUNTED = re.compile(rb"push \(([\d,]+) lines?\)")  # at the foot of the view


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A flood, and how it was shown.

    Attributes:
        lines_per_s: how many a second were captured.
        exact: whether each machine's log is, byte for byte, what was printed.
        lags: how many seconds old the newest counted line was, each time that the foot changed.
        cpu: how many processors were busy, with the machines, the programs and the harness.
    """

    lines_per_s: float
    exact: bool
    lags: list[float]
    cpu: float


def flood() -> Shown:
    """Let three machines print on a terminal of 120 x 40."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lab", "run-experiment", "--experiment", str(_FLOOD)]
        before = _cpu()
        printed = screen.printed([*command, "--runs", folder], columns=120, lines=40)
        seen = [(time.time(), chunk) for chunk in printed]
        cpu = _cpu() - before
        stored = store.load(store.find(Path(folder), None))
        times = [record.t for record in stored.records if record.stream == "stdout"]
        took = max(times) - min(times)
        lags = list(_lags(stored, seen))
        return Shown(
            lines_per_s=len(times) / took, exact=_is_exact(stored), lags=lags, cpu=cpu / took
        )


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
