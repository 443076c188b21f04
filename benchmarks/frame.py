"""The one frame of all benchmarks: contenders take turns, their figures are kept for each round.

A turn of one contender follows a turn of another, so that a busy moment hits all alike. One that
fails, or can't be had on this computer, is out from then on, and the result says why.
"""

import contextlib
import dataclasses
import datetime
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

Figures = Mapping[str, float]  # the name of a figure: its value in this turn


class ContenderError(Exception):
    """A contender can't be had, or its turn failed; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What is measured; `text` formats a value, `brief` marks those of the README's table."""

    name: str
    text: str = "{:.2f} s"
    brief: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One way to do the work.

    `turn` does it once, and returns what it could measure of the benchmark's figures; it raises
    ContenderError if the work wasn't done. `differs` says in a sentence how its work isn't the
    same as that of the others.
    """

    name: str
    turn: Callable[[], Figures]
    differs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A question, its contenders (the lab first), and the figures that answer it.

    `contenders` prepares what all turns share, yields the contenders, and cleans up.
    """

    name: str
    title: str
    figures: Sequence[Figure]
    contenders: Callable[[], AbstractContextManager[Sequence[Contender]]]


def measure(benchmark: Benchmark, rounds: int) -> dict[str, Any]:
    """Let the contenders take turns for some rounds; return the benchmark's part of the result."""
    taken = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with benchmark.contenders() as contenders:
        samples: dict[str, list[Figures]] = {one.name: [] for one in contenders}
        failed: dict[str, str] = {}
        for number in range(1, rounds + 1):
            for one in contenders:
                if one.name in failed:
                    continue
                say(f"{benchmark.name}, round {number} of {rounds}: {one.name}")
                try:
                    samples[one.name].append(_turn(one, benchmark))
                except ContenderError as error:
                    failed[one.name] = str(error)
                    say(f"  {one.name} is out: {error}")
        return {
            "name": benchmark.name,
            "title": benchmark.title,
            "taken": taken,
            "figures": [dataclasses.asdict(figure) for figure in benchmark.figures],
            "contenders": [
                {
                    "name": one.name,
                    "differs": one.differs,
                    "failed": failed.get(one.name, ""),
                    "rounds": samples[one.name],
                }
                for one in contenders
            ],
        }


def _turn(contender: Contender, benchmark: Benchmark) -> dict[str, float]:
    gc.collect()  # what an earlier turn left is not this one's to clean up
    figures = contender.turn()
    unknown = figures.keys() - {figure.name for figure in benchmark.figures}
    if unknown:
        raise TypeError(f"{benchmark.name} has no figures {unknown}")
    return {name: round(value, 6) for name, value in figures.items()}


def say(text: str) -> None:
    """Print on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def only(*contenders: Contender) -> Iterator[Sequence[Contender]]:
    """Yield contenders that need no preparation."""
    yield contenders


def timed(do: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
