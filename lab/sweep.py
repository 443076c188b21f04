"""`fab sweep`: each variant of an experiment several times, labs side by side, and one table."""

import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab import catalogue, runs
from lab.claims import Run
from lab.errors import ExitCode, LabError, worst
from lab.inventory import Inventory
from lab.outcomes import Outcome, outcome, table

_RUN_LINE = re.compile(r"^run: +(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What is to be run: how often each variant, and how many labs at once."""

    experiment: str
    provider: str
    inventory: Inventory
    repeat: int
    at_once: int
    runs: Path


@dataclass(frozen=True, slots=True)
class Part:
    """One run of the sweep, when it has ended: its directory is None where there is none."""

    variant: str
    code: ExitCode
    directory: Path | None
    said: str


def run(sweep: Sweep) -> ExitCode:
    """Run it all, print the table of outcomes, and return the worst exit code of its runs."""
    experiment = catalogue.load(sweep.experiment)
    name = catalogue.split(sweep.experiment)[0]
    todo = [variant for _ in range(sweep.repeat) for variant in experiment.variants]
    parts: list[Part] = []
    with ThreadPoolExecutor(sweep.at_once) as pool:
        for part in pool.map(lambda variant: _run_one(sweep, name, variant), todo):
            parts.append(part)
            print(f"{len(parts)} of {len(todo)}: {part.variant}: {_told(part)}", flush=True)
    outcomes = {v: _outcomes(v, parts) for v in experiment.variants}
    print(f"\n{table({v: found for v, found in outcomes.items() if found})}")
    return worst(part.code for part in parts)


def _run_one(sweep: Sweep, name: str, variant: str) -> Part:
    """Run one variant as a command of its own: so labs stand side by side, and end apart."""
    full = f"{name}:{variant}" if variant else name
    command = [sys.executable, "-P", "-m", "lab", "run-experiment", "--experiment", full]
    command += ["--provider", sweep.provider, "--inventory", str(sweep.inventory.path)]
    command += ["--runs", str(sweep.runs)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found = _RUN_LINE.search(done.stdout)
    directory = Path(found[1]) if found else None
    said = (done.stderr or done.stdout).strip().splitlines()
    return Part(variant, ExitCode(done.returncode), directory, said[-1] if said else "")


def _outcomes(variant: str, parts: Sequence[Part]) -> list[Outcome]:
    found = []
    for part in parts:
        judged = part.code in (ExitCode.EXPECTED, ExitCode.UNEXPECTED, ExitCode.NOT_OBSERVED)
        if part.variant == variant and judged and part.directory is not None:
            stored = runs.load(part.directory)
            interval = float(stored.description["parameters"]["interval"])
            found.append(outcome(Run(stored, catalogue.reader(stored)), interval))
    return found


def _told(part: Part) -> str:
    if part.code == ExitCode.EXPECTED:
        return "as expected"
    return f"exit code {int(part.code)}, {part.directory or part.said}"


def whole(flag: str, text: str, most: int) -> int:
    """Return a number from 1 to `most`; LabError if the text isn't one."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise LabError(f"'{text}' is no number from 1 to {most}", where=flag, cure="give one")
    return int(text)
