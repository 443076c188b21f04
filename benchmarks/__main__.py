"""What the lab costs, beside what one would pick instead: `.venv/bin/python -m benchmarks`.

Two tables, each the median of some runs made in turn, so that a busy moment hits all alike:
a whole `./fab run-experiment` beside the experiment's own time; and a kill, from the capture of the
line that triggers it to the proof that the process is gone, beside a kill by Fabric's `run` and one
by polling a log, as test harnesses do.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.kills import Machine, by_fabric, by_lab, by_polling, one_machine

_PROJECT = Path(__file__).parents[1]
_COUNT, _INTERVAL = 20, 0.05
_RUNS = 11
_KILLS = 200


def main() -> None:
    print(f"on {_machine()}\n")
    cost_of_a_run()
    cost_of_a_kill()


def cost_of_a_run() -> None:
    """Print how much longer a run takes than the messages' own time."""
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
    least = min(statistics.median(found) for found in times.values())
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"  {name:42} {middle:6.2f} s {middle - own:+6.2f} s {middle / least:5.1f} x")
    print()


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
    least = statistics.median(times["the lab"])
    print(f"line captured to process gone, {_KILLS} kills each        median    99 %")
    for name, found in times.items():
        middle, late = statistics.median(found), statistics.quantiles(found, n=100)[98]
        print(f"  {name:42} {middle:9.2f} ms {late:7.2f} ms  {middle / least:5.1f} x")


def _run(folder: str) -> None:
    command = ["./fab", "run-experiment", "--experiment", "round_robin", "--runs", folder]
    command += ["--count", str(_COUNT), "--interval", str(_INTERVAL)]
    subprocess.run(command, cwd=_PROJECT, stdout=subprocess.DEVNULL, check=True)


def _by_hand() -> None:
    programs = _PROJECT / "lab" / "programs"
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
