"""Show a finished run again: its page, its charts, one file to send to others."""

import dataclasses
import sys
import webbrowser
from pathlib import Path

from pushpull.analysis import cut
from pushpull.analysis.line_readers import nothing
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.project import COMMAND
from pushpull.core.wording import counted
from pushpull.engine.experiment import Experiment
from pushpull.engine.judge import exit_code, judge
from pushpull.experiments import catalogue, fingerprint
from pushpull.report import chart_files, page
from pushpull.report.vega_bundle import kit
from pushpull.report.verdicts import show_verdicts
from pushpull.runs import bundle, records_file, removal, store
from pushpull.runs.directory import attach
from pushpull.runs.store import StoredRun


def report(root: Path, run: str | None, *, again: bool) -> ExitCode:
    """Make the page of a run, packed or not, and print its path.

    Arguments:
        root: the folder of all runs; a packed run is unpacked into it.
        run: its name or path, or the path of a packed one; None for the last.
        again: judge the run again, by the claims of this clone or, for a user's own experiment,
            by those inside the packed run. The new verdicts then determine the exit code.
    """
    path = _found(root, run)
    stored = store.load(path)
    if not again:
        print(f"page:  {page.make(path, catalogue.reader)}")
        return ExitCode.EXPECTED
    experiment = catalogue.of_run(stored)
    verdicts = judge(stored, experiment, partial=stored.state != "finished")
    show_verdicts(verdicts, file=sys.stdout, notices=cut.notices(stored))
    before = {v["id"]: v["verdict"] for v in stored.verdicts or ()}
    now = {v["id"]: v["verdict"] for v in verdicts}
    changed = _note_on_code(stored, experiment)
    same = "same verdicts as before" if now == before else "NOT the same verdicts as before"
    print(f"{same} ({changed})" if changed else same)
    fresh = dataclasses.replace(stored, verdicts=verdicts)
    html = page.page(fresh, experiment.reads or nothing, kit())
    print(f"page:  {attach(path, 'report.html', html)}")
    return exit_code(verdicts, given_up=bool(cut.given_up(stored.events)))


def open_page(root: Path, run: str | None) -> None:
    """Open a run's page in the browser; make it first if there is none."""
    path = _found(root, run)
    file = path / "report.html"
    store.load(path)  # show no page of a directory that isn't a valid run
    file = file if file.exists() else page.make(path, catalogue.reader)
    print(f"page:  {file}")
    if not webbrowser.open(file.resolve().as_uri()):
        raise LabError("no browser could be started", hint=f"open this file yourself: {file}")


def plot(root: Path, run: str | None, form: str) -> None:
    """Write a run's charts into its directory."""
    if form not in chart_files.FORMATS:
        raise LabError(f"invalid --format '{form}'", hint="give svg or png")
    stored = store.load(_found(root, run))
    for file in chart_files.make(stored, catalogue.reader(stored), form):
        print(f"plot:  {file}")


def records(root: Path, run: str | None) -> None:
    """Write a run's lines as JSON, one object each, and say where."""
    print(f"records: {records_file.write(store.load(store.find(root, run)))}")


def pack(root: Path, run: str | None) -> None:
    """Pack a run into one file in the current folder, and print how to use it elsewhere."""
    file = bundle.pack(store.find(root, run), Path())
    print(f"bundle: {file}\nelsewhere: {COMMAND} report --judge --run {file}")


def clean(root: Path, keep: int, *, confirmed: bool) -> None:
    """Remove the runs before the newest `keep`, if confirmed; else say which they are."""
    old = removal.older(root, keep)
    if not old:
        print(f"nothing to remove: {root} has no more than {counted(keep, 'run')}")
    elif not confirmed:
        megabytes = sum(map(removal.size, old)) / 1e6
        print(f"{counted(len(old), 'run')}, {megabytes:,.1f} MB, {old[0].name} to {old[-1].name}")
        print(f"`{COMMAND} clean --keep {keep} --runs {root} --yes` removes them")
    else:
        in_progress = [path.name for path in old if not removal.remove(path)]
        removal.unlink_latest(root)
        print(f"removed {counted(len(old) - len(in_progress), 'run')}")
        for name in in_progress:
            print(f"{name} is in progress: it stays")


def _found(root: Path, run: str | None) -> Path:
    if run is None or not bundle.is_bundle(run):
        return store.find(root, run)
    path = bundle.unpack(Path(run), root)
    print(f"run:   {path}")
    return path


def _note_on_code(stored: StoredRun, experiment: Experiment) -> str:
    """Return a remark if the judging code differs from the code of the run."""
    then, now = stored.description.get("code"), fingerprint.code(experiment)
    if then is None:
        return "the run doesn't say which code judged it"
    changed = "the experiment" if then["experiment"] != now["experiment"] else ""
    if then["lab"] != now["lab"]:
        changed += " and the lab's own judging code" if changed else "the lab's own judging code"
    return f"changed since the run: {changed}" if changed else ""
