"""Makes the pictures of the docs anew, from real runs: `.venv/bin/python -m docs.pictures`.

It takes about four minutes. The runs are left in `runs/`, so that what a picture shows can be
looked at in full. What the README opens with is made by the tests: by `tests/test_opening.py`.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pushpull.analysis.timeline import Timeline
from pushpull.experiments import catalogue
from pushpull.experiments.loss_curve import LOADS
from pushpull.report import chart_files, docs_charts
from pushpull.runs import store
from pushpull.runs.store import StoredRun

HERE = Path(__file__).parent
RUNS = Path("runs")
TRIES = 6  # until the second puller connects between messages 0 and 1, which is chance
WAYS = {
    "kill": "Its program is killed: the other gets the rest",
    "pause": "Its program is paused: every second message is lost",
    "pause_resume": "It is paused, and resumed: what was held comes late",
    "cut_cable": "Its cable is cut: every second message is lost",
    "cut_mend_cable": "Its cable is cut, and mended: what was held comes late",
    "cut_cable_heartbeat": "Its cable is cut, with a heartbeat: lost until that is noticed",
}


def main() -> None:
    """Make all of them."""
    opening()
    finding()
    left = {way: run(f"ways_to_leave:{way}", interval=0.1, count=26) for way in WAYS}
    flows = {WAYS[way]: timeline_of(stored) for way, stored in left.items()}
    keep("ways-to-leave", docs_charts.ways(flows))
    keep("loss-curve", docs_charts.losses(losses(), "seconds between two messages"))


def timeline_of(stored: StoredRun) -> Timeline:
    """Return the flow of a run of one of the lab's experiments."""
    return docs_charts.timeline_of(stored, catalogue.reader(stored))


def opening() -> None:
    """Let the tests keep the pictures of their own run."""
    command = [sys.executable, "-m", "pytest", "tests/test_opening.py", "--pictures", str(HERE)]
    subprocess.run(command, check=True)


def finding() -> None:
    """Make the picture of the article's pair, once chance has brought it about."""
    for _ in range(TRIES):
        found = timeline_of(run("round_robin", interval=1.0, count=6))
        if chart := docs_charts.finding(found):
            keep("finding", chart)
            return
    raise SystemExit(f"in {TRIES} runs there was no pair at the beginning")


def losses() -> list[docs_charts.Loss]:
    """Sweep over the gap between messages and the work on each; return what each run lost."""
    before = set(RUNS.glob("*"))
    command = [
        sys.executable,
        "-m",
        "pushpull",
        "sweep",
        "--experiment",
        "loss_curve",
        "--repeat",
        "1",
    ]
    subprocess.run([*command, "--at-once", "1", "--runs", str(RUNS)], check=True)
    swept = [store.load(path) for path in sorted({*RUNS.glob("*-loss_curve*")} - before)]
    noted: set[str] = set()
    found = []
    for stored in swept:
        variant = stored.description["parameters"]["variant"]
        gap, work = LOADS[variant]
        series = f"{1000 * work:.0f} ms of work on each" if work else "no work"
        note = "the article: one a second" if variant == "article" else series
        lost = docs_charts.lost(timeline_of(stored))
        first = "" if note in noted else note
        noted.add(note)
        found.append(docs_charts.Loss(series=series, changed=gap, lost=lost, note=first))
    return found


def run(name: str, *, interval: float, count: int) -> StoredRun:
    """Run an experiment, and return what it left."""
    flags = ["--experiment", name, "--interval", str(interval), "--count", str(count)]
    command = [sys.executable, "-m", "pushpull", "run-experiment", *flags, "--runs", str(RUNS)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return store.load(store.find(RUNS, None))


def keep(name: str, chart: Mapping[str, Any]) -> None:
    """Write a chart as SVG and as PNG."""
    for form in chart_files.FORMATS:
        file = HERE / f"{name}.{form}"
        drawn = chart_files.picture(chart, form)
        file.write_bytes(drawn.encode() if isinstance(drawn, str) else drawn)
        print(file.name)


if __name__ == "__main__":
    main()
