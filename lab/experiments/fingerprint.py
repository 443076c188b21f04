"""Identifies the code that judges a run: a hash of the lab's part, and one of the experiment's."""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from pushpull import experiments
from pushpull.analysis import (
    chunk_patterns,
    cut,
    history,
    line_readers,
    messages,
)
from pushpull.core import records, run_schema, trace, verdict
from pushpull.core.errors import LabError
from pushpull.engine import judge
from pushpull.engine.experiment import Experiment
from pushpull.experiments import catalogue, implementations, judges, user_folder
from pushpull.experiments.implementations import Choice
from pushpull.runs import lines, pcap, stored_records
from pushpull.runs.store import StoredRun

_JUDGING = (
    history, judge, pcap, line_readers, records, run_schema, trace, verdict,
    chunk_patterns, cut, lines, messages, stored_records,
)  # fmt: skip


def code(experiment: Experiment) -> dict[str, str]:
    """Return the hashes for run.json.

    `lab` covers the modules on which every verdict depends, including the lab's experiments.
    `experiment` covers the user's own files; it is empty for one of the lab's experiments.
    """
    own_files = catalogue.own_files(experiment)
    return {
        "lab": _of_the_lab(),
        "experiment": _hash(sorted(own_files.items())) if own_files else "",
    }


def of_run(experiment: Experiment, choice: Choice) -> dict[str, str]:
    """Return the hashes for the run.json of a run: `code`, and as `programs` those of the lab.

    `programs` covers those of the implementation that plays; a user's own are in `experiment`.
    """
    return code(experiment) | {"programs": implementations.fingerprint(choice)}


def differing(stored: StoredRun, experiment: Experiment | None) -> list[str] | None:
    """Return in which of its hashes a run differs from this computer; None if it has none.

    Arguments:
        stored: the run.
        experiment: its experiment here, if it is known.
    """
    then: Mapping[str, str] | None = stored.description.get("code")
    if then is None:
        return None
    now = {"lab": _of_the_lab()}
    if experiment is not None:
        now |= code(experiment)
    with suppress(LabError):  # it was made where there are other implementations
        choice = implementations.chosen(str(stored.description.get("implementation", "")))
        now["programs"] = implementations.fingerprint(choice)
    return [name for name in now if then.get(name, now[name]) != now[name]]


def carried(run: Path) -> str:
    """Return the hash of the user's experiment that a run carries; empty if it has none."""
    module = catalogue.carried(run)
    if module is None:
        return ""
    return _hash(sorted({module.name: module, **user_folder.files(module.parent)}.items()))


def _of_the_lab() -> str:
    return _hash((path.name, path) for path in _files_of_the_lab())


def _files_of_the_lab() -> Iterable[Path]:
    yield from (Path(str(module.__file__)) for module in _JUDGING)
    for room in (experiments, judges):
        yield from sorted(Path(str(room.__file__)).parent.glob("*.py"))


def _hash(files: Iterable[tuple[str, Path]]) -> str:
    whole = hashlib.sha256()
    for name, path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{content}  {name}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
