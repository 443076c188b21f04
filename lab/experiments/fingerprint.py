"""Identifies the code that judges a run: a hash of the lab's part, and one of the experiment's."""

import hashlib
from collections.abc import Iterable
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
from pushpull.engine import judge
from pushpull.engine.experiment import Experiment
from pushpull.experiments import catalogue, judges
from pushpull.runs import lines, pcap, stored_records

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
        "lab": _hash((path.name, path) for path in _files_of_the_lab()),
        "experiment": _hash(sorted(own_files.items())) if own_files else "",
    }


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
