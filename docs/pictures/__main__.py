"""Makes the pictures of the docs anew, from real runs: `.venv/bin/python -m docs.pictures`.

It takes about two minutes. The runs are left in `runs/`, so that what a picture shows can be
looked at in full.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from lab import runs
from lab.records import Event
from lab.report import page, pictures, plots
from lab.report.columns import Columns
from lab.report.console import colours, print_rule
from lab.report.telling import Teller
from lab.report.text import is_trace
from lab.runs import StoredRun

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
    for _ in range(TRIES):
        found = pictures.flow_of(run("round_robin", interval=1.0, count=6))
        if chart := pictures.finding(found):
            keep("finding", chart)
            break
    left = {way: run(f"ways_to_leave:{way}", interval=0.1, count=26) for way in WAYS}
    flows = {WAYS[way]: pictures.flow_of(stored) for way, stored in left.items()}
    keep("ways-to-leave", pictures.ways(flows))
    killed = run("kill_worker", interval=0.1, count=20)
    (HERE / "live.svg").write_text(live(killed))
    screenshot(killed)


def run(name: str, *, interval: float, count: int) -> StoredRun:
    """Run an experiment, and return what it left."""
    flags = ["--experiment", name, "--interval", str(interval), "--count", str(count)]
    command = [sys.executable, "-m", "lab", "run-experiment", *flags, "--runs", str(RUNS)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return runs.load(runs.find(RUNS, None))


def keep(name: str, chart: Mapping[str, Any]) -> None:
    """Write a chart as SVG."""
    (HERE / f"{name}.svg").write_text(str(plots.picture(chart, "svg")))
    print(f"{name}.svg")


def live(stored: StoredRun) -> str:
    """Return the live view of a run as SVG: what its terminal of 96 columns showed near the end."""
    console = Console(
        record=True, width=96, file=io.StringIO(), force_terminal=True, highlight=False
    )
    machines = list(stored.description["inventory"])
    columns = Columns(console, colours(machines), stored.description["started"])
    teller = Teller()
    end = max(r.t for r in stored.records if r.stream == "stdout")
    seen = [x for x in (*stored.records, *stored.events) if x.t <= end]
    for thing in sorted(seen, key=lambda x: x.t):
        if isinstance(thing, Event):
            columns.see(thing)
            if told := teller.tell(thing):
                print_rule(console, told)
        elif not is_trace(thing):
            columns.count([thing])
            console.print(columns.row(thing))
    console.print(Text("\n").join(columns.foot()))
    svg = console.export_svg(title="./fab run-experiment --experiment kill_worker")
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # no font from elsewhere


def screenshot(stored: StoredRun) -> None:
    """Take a picture of a run's page in Chromium, unless there is none."""
    sys.path.insert(0, str(HERE.parents[1] / "tests"))
    import browser
    import debian

    binary = Path(shutil.which("chromium") or debian.unpacked() / "bin/chromium")
    with tempfile.TemporaryDirectory() as folder, browser.chromium(binary, Path(folder)) as context:
        shown = context.new_page()
        shown.set_viewport_size({"width": 1100, "height": 1320})
        shown.goto(page.make(stored.path).resolve().as_uri())
        shown.wait_for_selector("html[data-drawn=yes]")
        shown.screenshot(path=HERE / "page.png")
    print("page.png")


if __name__ == "__main__":
    main()
