"""`fab compare --runs FOLDER`: many runs, such as those of a class, beside each other."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pushpull.analysis import cut
from pushpull.analysis.many_runs import Entry, facts_of, tables
from pushpull.core.errors import ExitCode, LabError, RunStoreError, worst
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue, fingerprint
from pushpull.report import many_runs_page
from pushpull.report.many_runs_text import print_tables
from pushpull.runs import collection
from pushpull.runs.collection import Source
from pushpull.runs.contradictions import contradiction
from pushpull.runs.store import StoredRun

_OTHER_CODE = "judged again: its own verdicts are of another version of the lab"
_OWN = "its own experiment: the verdicts are as handed in"


def compare(folder: Path) -> ExitCode:
    """Compare all runs in a folder, print a table and make a page.

    A run that can't be read, or whose files contradict each other, is named with the reason and
    left out. The lab's own experiments are judged again, and no run's own code is executed.

    Returns MISTAKE if a run was left out, else UNEXPECTED if verdicts differ other than by chance.
    """
    entries: list[Entry] = []
    refused: list[tuple[str, str]] = []
    for source in collection.inside(folder):
        try:
            entries.append(_entry(source))
        except LabError as error:
            refused.append((source.name, _reason(error, source)))
        except Exception as error:  # one odd run must not cost the others their comparison
            refused.append((source.name, f"judging it fails: {type(error).__name__}: {error}"))
    found = tables(entries)
    print_tables(found, refused, file=sys.stdout)
    print(f"\npage:  {many_runs_page.make(folder, found, refused)}")
    return worst(_codes(sum(table.differing for table in found), refused))


def _codes(differing: int, refused: Sequence[object]) -> Iterator[ExitCode]:
    if refused:
        yield ExitCode.MISTAKE
    if differing:
        yield ExitCode.UNEXPECTED


def _reason(error: LabError, source: Source) -> str:
    """Return why a run is left out; its own path says nothing new."""
    inside = error.where.partition(f"{source.path.name}/")[2]
    return f"{inside}: {error.what}" if inside else error.what


def _entry(source: Source) -> Entry:
    with source.opened() as stored:
        if wrong := contradiction(stored):
            raise RunStoreError(f"it was changed after the run: {wrong}")
        verdicts, *notes = _judged(stored)
        about = stored.description
        variant = about["parameters"].get("variant", "")
        return Entry(
            name=source.name,
            title=":".join(filter(None, [about["experiment"], variant])),
            facts=facts_of(stored),
            verdicts=verdicts,
            notes=(*notes, *cut.notices(stored)),
            identity=(about["experiment"], about["started"], about.get("call", source.name)),
        )


def _judged(stored: StoredRun) -> tuple[Any, ...]:
    """Return the verdicts on a run, and notes on them.

    Raises:
        RunStoreError: its verdicts are not those that its records give.
    """
    before = list(stored.verdicts or ())
    name = stored.description["experiment"]
    is_own = bool(stored.description.get("module")) or catalogue.carried(stored.path) is not None
    if is_own or name not in catalogue.names():
        return before, _OWN
    experiment = catalogue.load(name)
    now = judge(stored, experiment, partial=stored.state != "finished")
    then = {v["id"]: v["verdict"] for v in before}
    changed = [v for v in now if then.get(v["id"]) != v["verdict"]]
    same_code = stored.description.get("code", {}).get("lab") == fingerprint.code(experiment)["lab"]
    if not changed and len(then) == len(now):
        return (now,)
    if not before or not same_code:
        return now, _OTHER_CODE if before else "it has no verdicts of its own: judged now"
    claim = changed[0]["id"] if changed else next(iter(then.keys() - {v["id"] for v in now}))
    raise RunStoreError(
        f"it was changed after the run: its verdict on {claim} is not what its records give"
    )
