"""Verdicts on very many lines, beside the answer that `sort` and `comm` give."""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import commands, install
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures
from pushpull.core.records import Event
from pushpull.experiments import catalogue
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory

_MESSAGES = 5_000_000  # a line of each in two logs
_LOST = frozenset(range(999_999, _MESSAGES, 1_000_000))
_EXPERIMENT = "round_robin"
_CHUNK = 5000  # lines that are captured at once
_START = 1_795_508_000.0  # UNIX seconds
_GAP = 0.00005
_LIMIT_S = 240

_TOOK, _PEAK = "verdicts", "largest process"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="records",
        title=f"The article's claims, judged on {2 * _MESSAGES:,} lines in two logs",
        figures=[
            Figure(name=_TOOK, brief=True),
            Figure(name=_PEAK, text="{:.0f} MB", brief=True),
        ],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with tempfile.TemporaryDirectory() as folder:
        run = _made(Path(folder))
        yield [
            Contender(
                name="the lab",
                turn=lambda: _by_lab(run),
                differs=f"all claims of `{_EXPERIMENT}`",
            ),
            Contender(
                name="sort and comm",
                turn=lambda: _by_sort(run),
                differs="only which messages were lost; in two processes, in the C locale",
            ),
        ]


def _by_lab(run: Path) -> Figures:
    judging = [sys.executable, "-m", "benchmarks.judging", run]
    done = commands.run(judging, limit_s=_LIMIT_S)
    verdict = next(v for v in json.loads(done.output) if v["id"].endswith("each_to_exactly_one"))
    if verdict["verdict"] != "refuted" or set(verdict["evidence"]["messages"]) != _LOST:
        raise ContenderError(f"its verdict is wrong: {verdict['verdict']}, {verdict['why']}")
    return {_TOOK: done.seconds, _PEAK: done.peak_mb}


def _by_sort(run: Path) -> Figures:
    install.tool("comm")
    command = (
        'cut -d" " -f1 pull-1/pull.log | sort > "$1/received" &'
        ' sort push/push.log > "$1/sent" && wait && comm -3 "$1/sent" "$1/received"'
    )
    with tempfile.TemporaryDirectory() as folder:
        sorting = ["sh", "-c", command, "-", folder]
        done = commands.run(sorting, limit_s=_LIMIT_S, environment={"LC_ALL": "C"}, folder=run)
    if {int(line) for line in done.output.split()} != _LOST:
        raise ContenderError("it didn't find the lost messages")
    return {_TOOK: done.seconds, _PEAK: done.peak_mb}


def _made(root: Path) -> Path:
    """Make the run of one sender and one receiver, as a run would leave it."""
    machines = {"push": "pusher", "pull-1": "puller"}
    run = RunDirectory.create(
        root,
        _EXPERIMENT,
        {
            "parameters": {"count": _MESSAGES, "interval": _GAP, "options": []},
            "inventory": {n: {"role": r, "address": "-"} for n, r in machines.items()},
            "clocks": {n: {"offset_s": 0.0, "uncertainty_s": 0.0} for n in machines},
            "summary": catalogue.load(_EXPERIMENT).summary,
        },
    )
    now = _START
    capture = Capture(run, lambda _: None, clock=lambda: now)
    push = capture.open("push", "push", "stdout")
    pull = capture.open("pull-1", "pull", "stdout")
    for first in range(0, _MESSAGES, _CHUNK):
        part = range(first, min(first + _CHUNK, _MESSAGES))
        push.feed(b"".join(b"%d\n" % n for n in part))
        pull.feed(b"".join(b"%d , %.6f\n" % (n, now) for n in part if n not in _LOST))
        now += _GAP * _CHUNK
    for stream in (push, pull):
        stream.close()
    for machine, process in (("push", "push"), ("pull-1", "pull")):
        run.event(Event(t=_START, event="start", machine=machine, process=process, details={}))
    run.event(Event(t=now, event="exit", machine="push", process="push",
                    details={"status": 0, "by": "itself"}))  # fmt: skip
    run.write_verdicts([])
    run.finish("finished")
    return run.path
