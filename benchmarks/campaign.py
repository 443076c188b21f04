"""Are verdicts right on a busy computer? `.venv/bin/python -m benchmarks.campaign [RUNS]`.

Runs the article's experiments, unchanged, beside four busy loops, three at a time; in each tenth
run the harness itself is stopped for 3 s at a random moment, as a suspended laptop would be.
Nothing is wrong with these runs, so each claim must come out as expected or be "not observed". The
directory of a run that breaks this rule is kept and named. The last lines give the counts; the exit
status is 1 if any verdict was false.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[1]
_EXPERIMENTS = ("round_robin", "kill_worker", "rejoin_worker", "return_worker")
_BUSY_LOOPS = 4
_AT_ONCE = 3
_STOPPED_S = 3.0
_TRUTHFUL_EXIT_CODES = {0, 3}


@dataclass(frozen=True)
class Outcome:
    """How one run ended: its exit code, and its claims by whether they were as expected."""

    exit_code: int
    verdicts: Counter[str]

    @property
    def false(self) -> bool:
        return self.exit_code not in _TRUTHFUL_EXIT_CODES or bool(self.verdicts["FALSE"])


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seed = random.randrange(10**6)
    print(f"{runs} runs, {_AT_ONCE} at a time, {_BUSY_LOOPS} busy loops, seed {seed}", flush=True)
    moments = random.Random(seed)
    stops = [moments.uniform(0.0, 2.0) if number % 10 == 0 else None for number in range(runs)]
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    started = time.monotonic()
    with _busy(), ThreadPoolExecutor(_AT_ONCE) as pool:
        outcomes = list(pool.map(lambda at: _run(folder, *at), enumerate(stops)))
    _print_counts(outcomes, time.monotonic() - started)
    sys.exit(any(outcome.false for outcome in outcomes))


def _run(folder: Path, number: int, stop_after_s: float | None) -> Outcome:
    """Run one experiment; stop its harness `stop_after_s` seconds after the run began, if given."""
    runs = folder / str(number)
    runs.mkdir()
    experiment = _EXPERIMENTS[number % len(_EXPERIMENTS)]
    command = ["./fab", "run-experiment", "--experiment", experiment]
    command += ["--interval", "0.05", "--runs", str(runs)]
    with (runs / "output").open("wb") as output:
        fab = subprocess.Popen(
            command, cwd=_PROJECT, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        if stop_after_s is not None:
            _stop_for_a_while(fab, runs, stop_after_s)
        outcome = _outcome(fab.wait(), runs)
    if outcome.false:
        print(
            f"FALSE: run {number}, {experiment}, exit code {outcome.exit_code}: {runs}", flush=True
        )
    else:
        shutil.rmtree(runs)
    return outcome


def _stop_for_a_while(fab: subprocess.Popen[bytes], runs: Path, after_s: float) -> None:
    while fab.poll() is None and not any(runs.glob("*Z-*")):
        time.sleep(0.01)
    time.sleep(after_s)
    if fab.poll() is None:
        fab.send_signal(signal.SIGSTOP)
        time.sleep(_STOPPED_S)
        fab.send_signal(signal.SIGCONT)


def _outcome(exit_code: int, runs: Path) -> Outcome:
    directory = next((path for path in runs.glob("*Z-*") if path.is_dir()), None)
    verdicts: Counter[str] = Counter()
    if directory is not None and (directory / "verdicts.json").exists():
        for claim in json.loads((directory / "verdicts.json").read_text()):
            verdicts[_kind(claim)] += 1
    return Outcome(exit_code, verdicts)


def _kind(claim: dict[str, Any]) -> str:
    if claim["verdict"] == "not observed":
        return "not observed"
    return "as expected" if claim["verdict"] == claim["expected"] else "FALSE"


@contextmanager
def _busy() -> Iterator[None]:
    loops = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(_BUSY_LOOPS)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _print_counts(outcomes: list[Outcome], took_s: float) -> None:
    verdicts: Counter[str] = sum((outcome.verdicts for outcome in outcomes), Counter())
    codes = Counter(outcome.exit_code for outcome in outcomes)
    false = sum(outcome.false for outcome in outcomes)
    print(f"{len(outcomes)} runs in {took_s:.0f} s; exit codes {dict(sorted(codes.items()))}")
    print(f"claims: {dict(verdicts)}; runs with a false verdict or another fault: {false}")


if __name__ == "__main__":
    main()
