"""`fab sweep`: each variant of an experiment several times, labs side by side, and one table."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from lab.analysis.history import Run
from lab.analysis.outcome_table import Outcome, outcome, table
from lab.cli.run_experiment import say
from lab.core.errors import ExitCode, LabError, worst
from lab.core.text import harmless
from lab.experiments import catalogue
from lab.machines.inventory import Inventory
from lab.machines.providers.registry import choose
from lab.runs import store


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
    """One run of the sweep, when it has ended: its directory, if there is one, and its error."""

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
    try:
        with contextlib.closing(_run_all(sweep, name, todo)) as ending:
            for part in ending:
                parts.append(part)
                print(f"{len(parts)} of {len(todo)}: {part.variant}: {_told(part)}", flush=True)
    except KeyboardInterrupt:
        print(f"interrupted after {len(parts)} of {len(todo)} runs", flush=True)
    outcomes = {v: _outcomes(v, parts) for v in experiment.variants}
    print(f"\n{table({v: found for v, found in outcomes.items() if found})}")
    whole = len(parts) == len(todo)
    return worst(part.code for part in parts) if whole else ExitCode.INTERRUPTED


def _run_all(sweep: Sweep, name: str, todo: Sequence[str]) -> Generator[Part, None, None]:
    """Give each run as it ends; when we end, those that go on are interrupted.

    All of them have the reading end of one pipe. The kernel closes the other end, which only we
    have, however we end.
    """
    at_once = sweep.at_once
    if at_once > 1 and choose(sweep.provider, sweep.inventory, say).is_shared():
        say("these machines are shared by all runs, which so take place one after another")
        at_once = 1
    lifeline, ours = os.pipe()
    with ThreadPoolExecutor(at_once) as pool:
        try:
            waiting = [pool.submit(_run_one, sweep, name, each, lifeline) for each in todo]
            for future in as_completed(waiting):
                yield future.result()
        finally:
            os.close(ours)
            pool.shutdown(cancel_futures=True)
            os.close(lifeline)


def _run_one(sweep: Sweep, name: str, variant: str, lifeline: int) -> Part:
    """Run one variant in a process of its own: so labs stand side by side, and end apart."""
    wanted = {
        "experiment": f"{name}:{variant}" if variant else name,
        "provider": sweep.provider,
        "inventory": str(sweep.inventory.path),
        "runs": str(sweep.runs),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lab.cli.sweep_part", json.dumps(wanted)],
        stdin=lifeline,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        start_new_session=True,  # Ctrl-C on the terminal is for us alone: we pass it on once
    )
    return _part(variant, done)


def _part(variant: str, done: "subprocess.CompletedProcess[str]") -> Part:
    if done.returncode < 0:
        how = f"its process was ended by {signal.Signals(-done.returncode).name}"
        return Part(variant, ExitCode.INTERRUPTED, None, how)
    if done.returncode > 0:
        return Part(variant, ExitCode.BUG, None, harmless(done.stderr.strip()[-500:], 500))
    result = json.loads(done.stdout)
    directory = Path(result["directory"]) if result["directory"] else None
    return Part(variant, ExitCode(result["code"]), directory, result["said"])


def _outcomes(variant: str, parts: Sequence[Part]) -> list[Outcome]:
    found = []
    for part in parts:
        judged = part.code in (ExitCode.EXPECTED, ExitCode.UNEXPECTED, ExitCode.NOT_OBSERVED)
        if part.variant == variant and judged and part.directory is not None:
            stored = store.load(part.directory)
            interval = float(stored.description["parameters"]["interval"])
            found.append(outcome(Run(stored, catalogue.reader(stored)), interval))
    return found


def _told(part: Part) -> str:
    if part.code == ExitCode.EXPECTED:
        return "as expected"
    about = [str(part.directory)] if part.directory else []
    return ", ".join([f"exit code {int(part.code)}", *about, *([part.said] if part.said else [])])


def whole(flag: str, text: str, most: int) -> int:
    """Return a number from 1 to `most`; LabError if the text isn't one."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        raise LabError(f"'{text}' is no number from 1 to {most}", where=flag, hint="give one")
    return int(text)
