"""`fab compare --runs FOLDER`: many runs, such as those of a class, beside each other."""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pushpull import __version__
from pushpull.analysis import cut
from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import nothing
from pushpull.analysis.many_runs import Entry, facts_of, tables
from pushpull.analysis.quantities import in_short, quantities
from pushpull.core.errors import ExitCode, LabError, RunStoreError, worst
from pushpull.core.records import Reader
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
_NO_CODE = "it doesn't say which code made it"
# What the same code says of the same run in the same words; reasons may name things in any order.
_KEPT = ("id", "verdict", "statement", "source", "expected", "by_chance", "partial")
_AS_HANDED_IN = {"verdicts": "as handed in"}  # of an experiment that is not at hand


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
            facts=facts_of(stored) | (_AS_HANDED_IN if experiment is None else {}),
            verdicts=verdicts,
            edited=_edited(stored, differing or []),
            values=in_short(quantities(Run(stored, _reader(stored, experiment)).values)),
            notes=(*notes, *cut.notices(stored)),
            identity=(about["experiment"], about["started"], about.get("call", source.name)),
        )


def _reader(stored: StoredRun, experiment: Experiment | None) -> Reader:
    return catalogue.reader(stored) if experiment is None else experiment.reads or nothing


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
        return (before,)
    now = judge(stored, experiment, partial=stored.state != "finished")
    if not before:
        return now, "it has no verdicts of its own: judged now"
    if same_code and (claim := _changed(before, now)):
        raise RunStoreError(
            f"it was changed after the run: its verdict on {claim} is not what its records give"
        )
    outcomes = [{v["id"]: v["verdict"] for v in verdicts} for verdicts in (before, now)]
    notes = [_NO_CODE] if "code" not in stored.description else []
    return now, *notes, *([_OTHER_CODE] if outcomes[0] != outcomes[1] else [])


def _changed(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> str:
    """Return a claim whose verdict is another one now; empty if there is none."""
    kept = [tuple(v.get(name) for name in _KEPT) for verdicts in (before, now) for v in verdicts]
    then, again = Counter(kept[: len(before)]), Counter(kept[len(before) :])
    return next((str(id_) for id_, *_ in [*(then - again), *(again - then)]), "")
