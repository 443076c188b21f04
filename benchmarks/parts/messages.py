"""The article's programs without a pause: how many messages a second get through."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import commands
from benchmarks.commands import PROGRAMS
from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, Figures, only
from benchmarks.free_port import free_port

_COUNT = 100_000
_LIMIT_S = 300
_RATE, _WHOLE = "messages a second", "command to end"
_PULLERS = (1, 2)


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="messages",
        title=f"`--count {_COUNT} --interval 0`, one pusher and two pullers",
        figures=[
            Figure(name=_RATE, text="{:,.0f}", brief=True),
            Figure(name=_WHOLE),
        ],
        contenders=lambda: only(
            Contender(name="the lab", turn=_by_lab),
            Contender(
                name="by hand",
                turn=_by_hand,
                differs="the same programs with the same trace, over 127.0.0.1, into files; "
                "no verdict",
            ),
        ),
    )


def _by_lab() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--experiment", "round_robin", "--count", str(_COUNT), "--interval", "0"]
        command = commands.run_experiment(Path(folder), *flags)
        done = commands.run(command, limit_s=_LIMIT_S)  # exit status 0: all verdicts as expected
        logs = list(Path(folder, "latest").resolve().glob("pull-*/pull.log"))
        return {_RATE: _rate(logs), _WHOLE: done.seconds}


def _by_hand() -> Figures:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        address = ["--address", f"tcp://127.0.0.1:{free_port()}", "--trace"]
        start = time.monotonic()
        for number in _PULLERS:
            pull = [sys.executable, PROGRAMS / "pull.py", *address]
            process = commands.started(pull, folder / f"pull-{number}", folder / f"{number}.err")
            stack.enter_context(commands.ending(process))
        push = [sys.executable, PROGRAMS / "push.py", *address]
        push += ["--count", str(_COUNT), "--interval", "0"]
        pusher = commands.started(push, folder / "push", folder / "push.err")
        with commands.ending(pusher):
            pusher.wait(_LIMIT_S)
        logs = [folder / f"pull-{number}" for number in _PULLERS]
        while sum(log.read_bytes().count(b"\n") for log in logs) < _COUNT:
            if time.monotonic() > start + _LIMIT_S:
                raise ContenderError(f"not all messages came within {_LIMIT_S} s")
            time.sleep(0.05)
        return {_RATE: _rate(logs), _WHOLE: time.monotonic() - start}


def _rate(logs: list[Path]) -> float:
    """Return the messages a second, by the times that the pusher wrote into them.

    ContenderError if some are missing.
    """
    lines = [line for log in logs for line in log.read_text().splitlines()]
    sent = dict(line.split(" , ") for line in lines)
    if sent.keys() != {str(number) for number in range(_COUNT)}:
        raise ContenderError(f"{len(sent):,} of {_COUNT:,} messages were received")
    times = [float(t) for t in sent.values()]
    return (_COUNT - 1) / (max(times) - min(times))
