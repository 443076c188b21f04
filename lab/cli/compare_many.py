"""`fab compare --runs FOLDER`: many runs, such as those of a class, beside each other."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pushpull import __version__
from pushpull.analysis import cut
from pushpull.analysis.many_runs import Entry, facts_of, tables
from pushpull.core.errors import ExitCode, LabError, RunStoreError, worst
from pushpull.core.wording import joined
from pushpull.engine.experiment import Experiment
from pushpull.engine.judge import judge
from pushpull.engine.request import git_revision
from pushpull.experiments import catalogue, expectations, fingerprint
from pushpull.report import many_runs_page
from pushpull.report.many_runs_text import print_tables
from pushpull.runs import collection
from pushpull.runs.collection import Source
from pushpull.runs.contradictions import contradiction
from pushpull.runs.store import StoredRun

_OTHER_CODE = "judged again: its own verdicts were other ones, by other code"
_CODE = {
    "experiment": "the experiment",
    "lab": "the lab's experiments and how they are judged",
    "programs": "the lab's programs",
}
_OWN = "its own experiment: the verdicts are as handed in"


def compare(folder: Path, own: str = "") -> ExitCode:
    """Compare all runs in a folder, print a table and make a page.

    A run that can't be read, or whose files contradict each other, is named with the reason and
    left out. The lab's own experiments and the user's are judged again, and no run's own code is
    executed.

    Arguments:
        folder: where the runs are.
        own: an experiment of the user's own, by its path: runs of its name are judged by that.

    Returns MISTAKE if a run was left out, else UNEXPECTED if verdicts differ other than by chance
    or edited code made a run.
    """
    given = catalogue.load(own) if own else None
    entries: list[Entry] = []
    refused: list[tuple[str, str]] = []
    for source in collection.inside(folder):
        try:
            entries.append(_entry(source, given))
        except LabError as error:
            refused.append((source.name, _reason(error, source)))
        except Exception as error:  # one odd run must not cost the others their comparison
            refused.append((source.name, f"judging it fails: {type(error).__name__}: {error}"))
    found = tables(entries)
    print_tables(found, refused, file=sys.stdout)
    print(f"\npage:  {many_runs_page.make(folder, found, refused)}")
    unlike = sum(table.differing + table.edited for table in found)
    return worst(_codes(unlike, refused))


def _codes(unlike: int, refused: Sequence[object]) -> Iterator[ExitCode]:
    if refused:
        yield ExitCode.MISTAKE
    if unlike:
        yield ExitCode.UNEXPECTED


def _reason(error: LabError, source: Source) -> str:
    """Return why a run is left out; its own path says nothing new."""
    inside = error.where.partition(f"{source.path.name}/")[2]
    return f"{inside}: {error.what}" if inside else error.what


def _entry(source: Source, given: Experiment | None) -> Entry:
    with source.opened() as stored:
        if wrong := contradiction(stored) or _exchanged(stored):
            raise RunStoreError(f"it was changed after the run: {wrong}")
        experiment = _experiment_of(stored, given)
        differing = fingerprint.differing(stored, experiment)
        verdicts, *notes = _judged(stored, experiment, same_code=differing == [])
        about = stored.description
        variant = about["parameters"].get("variant", "")
        return Entry(
            name=source.name,
            title=":".join(filter(None, [about["experiment"], variant])),
            facts=facts_of(stored),
            verdicts=verdicts,
            edited=_edited(stored, differing or []),
            notes=(*notes, *cut.notices(stored)),
            identity=(about["experiment"], about["started"], about.get("call", source.name)),
        )


def _exchanged(stored: StoredRun) -> str:
    """Return that a run carries another experiment than the one that it ran; empty if not."""
    ran = stored.description.get("code", {}).get("experiment")
    exchanged = ran is not None and ran != fingerprint.carried(stored.path)
    return "the experiment that it carries is not the one that ran" if exchanged else ""


def _experiment_of(stored: StoredRun, given: Experiment | None) -> Experiment | None:
    """Return the experiment by which a run is judged here; None for another's own."""
    name = stored.description["experiment"]
    if given and given.name == name:
        return expectations.of_run(given, stored)
    is_own = bool(stored.description.get("module")) or catalogue.carried(stored.path) is not None
    if is_own or name not in catalogue.names():
        return None
    return expectations.of_run(catalogue.load(name), stored)


def _edited(stored: StoredRun, differing: Sequence[str]) -> str:
    """Return which code was edited before a run; empty if none was.

    The lab's own code may differ, too, because it is of another version.
    """
    about = stored.description.get("environment", {})
    here = {"lab": __version__, "git_revision": git_revision()}
    versions = {name: about.get(name) or version for name, version in here.items() if version}
    of_this_version = all(versions[name] == here[name] for name in versions)
    edited = [name for name in differing if name == "experiment" or of_this_version]
    return f"made by edited code: {joined([_CODE[name] for name in edited])}" if edited else ""


def _judged(
    stored: StoredRun, experiment: Experiment | None, *, same_code: bool
) -> tuple[Any, ...]:
    """Return the verdicts on a run, and notes on them.

    Raises:
        RunStoreError: its verdicts are not those that its records give.
    """
    before = list(stored.verdicts or ())
    if experiment is None:
        return before, _OWN
    now = judge(stored, experiment, partial=stored.state != "finished")
    then = {v["id"]: v["verdict"] for v in before}
    changed = [v for v in now if then.get(v["id"]) != v["verdict"]]
    if not changed and len(then) == len(now):
        return (now,)
    if not before or not same_code:
        return now, _OTHER_CODE if before else "it has no verdicts of its own: judged now"
    claim = changed[0]["id"] if changed else next(iter(then.keys() - {v["id"] for v in now}))
    raise RunStoreError(
        f"it was changed after the run: its verdict on {claim} is not what its records give"
    )
