"""Measures what the lab costs, beside the alternatives: `.venv/bin/python -m benchmarks`.

Two tables, each the median of some runs made in turn, so that a busy moment hits all alike:
a whole `./fab run-experiment` beside the experiment's own time; and a kill, from the capture of the
line that triggers it to the proof that the process is gone, beside a kill by Fabric's `run` and one
by polling a log, as test harnesses do. Then what very many lines cost: a flood of them on a
terminal, and the page of 100,000 messages. One of them alone: `-m benchmarks flood`.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from benchmarks import pages, views
from benchmarks.kills import Machine, by_fabric, by_lab, by_polling, one_machine

_PROJECT = Path(__file__).parents[1]
_COUNT, _INTERVAL = 20, 0.05
_RUNS = 11
_KILLS = 200


def main() -> None:
    parts = {
        "run": cost_of_a_run,
        "kill": cost_of_a_kill,
        "flood": cost_of_a_flood,
        "page": cost_of_a_page,
    }
    print(f"on {_machine()}\n")
    for name in sys.argv[1:] or parts:
        parts[name]()
        print()


def cost_of_a_run() -> None:
    """Print how much longer a run takes than its messages."""
    own = _COUNT * _INTERVAL
    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], None]] = {
            "./fab run-experiment": lambda: _run(folder),
            "the three programs by hand, no machines": _by_hand,
        }
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(_RUNS):
            for name, way in ways.items():
                times[name].append(_timed(way))
    print(f"{_COUNT} messages, {_INTERVAL} s apart: {own:.2f} s of their own; {_RUNS} runs each")
    least = min(median(found) for found in times.values())
    for name, found in times.items():
        middle = median(found)
        print(f"  {name:42} {middle:6.2f} s {middle - own:+6.2f} s {middle / least:5.1f} x")


def cost_of_a_kill() -> None:
    """Print the time from a captured line to the proven end of the process that printed it."""
    ways: dict[str, Callable[[Machine], float]] = {
        "the lab": by_lab,
        "Fabric's run('kill -9 …')": by_fabric,
        "grep of a log, every 0.1 s": by_polling,
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    with one_machine() as machine:
        for _ in range(_KILLS):
            for name, way in ways.items():
                times[name].append(way(machine) * 1000)
    least = median(times["the lab"])
    print(f"line captured to process gone, {_KILLS} kills each        median    99 %")
    for name, found in times.items():
        middle, late = median(found), quantiles(found, n=100)[98]
        print(f"  {name:42} {middle:9.2f} ms {late:7.2f} ms  {middle / least:5.1f} x")


def cost_of_a_flood() -> None:
    """Print how the live view keeps up with thousands of lines a second."""
    shown = views.flood()
    print(f"{shown.lines_per_s:,.0f} lines a second on three machines, on a terminal of 120 x 40")
    print(f"  {'recorded byte for byte':42} {'yes' if shown.exact else 'NO'}")
    print(f"  {'age of the newest line at the foot, median':42} {median(shown.lags):6.3f} s")
    print(f"  {'  at most':42} {max(shown.lags):6.3f} s")
    print(f"  {'processors busy, with the programs':42} {shown.cpu:6.2f}")


def cost_of_a_page() -> None:
    """Print what the page of a run with very many messages costs."""
    with tempfile.TemporaryDirectory() as folder:
        run = pages.run(Path(folder))
        seconds, megabytes = pages.made(run)
        acts = pages.used(run)
    print(f"the page of {pages.MESSAGES:,} messages, {megabytes:.1f} MB; and in Chromium")
    for name, took in {"make it": seconds, **acts}.items():
        print(f"  {name:42} {took:6.2f} s")


def _run(folder: str) -> None:
    command = ["./fab", "run-experiment", "--experiment", "round_robin", "--runs", folder]
    command += ["--count", str(_COUNT), "--interval", str(_INTERVAL)]
    subprocess.run(command, cwd=_PROJECT, stdout=subprocess.DEVNULL, check=True)


def _by_hand() -> None:
    programs = _PROJECT / "lab" / "experiments" / "programs" / "pyzmq"
    address = "tcp://127.0.0.1:51234"
    pull = [sys.executable, str(programs / "pull.py"), "--address", address]
    push = [sys.executable, str(programs / "push.py"), "--address", address]
    push += ["--count", str(_COUNT), "--interval", str(_INTERVAL)]
    pullers = [subprocess.Popen(pull, stdout=subprocess.DEVNULL) for _ in range(2)]
    try:
        subprocess.run(push, stdout=subprocess.DEVNULL, check=True)
    finally:
        for puller in pullers:
            puller.kill()
            puller.wait()


def _timed(do: Callable[[], None]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def _machine() -> str:
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
