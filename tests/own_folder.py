"""An experiment of a user's own, in a folder, for tests to change."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import command
import pytest

from pushpull.runs import store
from pushpull.runs.store import StoredRun

HEAD = """\
'''Does it answer?'''
from pushpull.api import Lab, Run, Verdict, claim, experiment, lines, printed

"""
SCENARIO = """\
@experiment(source="mine", reads=lines(received={"count": r"(\\d+)"}), count=3, interval=0.05)
def mine(lab: Lab) -> None:
    lab.start("count", on="puller").wait()

"""
CLAIM = """\
@claim("Each counts to the end.")
def counts(run: Run) -> Verdict:
    short = [name for name in run.receivers if len(run.by(name)) < len(run.planned)]
    return Verdict.refuted(str(short)) if short else Verdict.holds("they did")
"""
SHELL = """\
#!/bin/sh
n=0; while [ "$n" -lt "$LAB_COUNT" ]; do echo "$n"; n=$((n + 1)); done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an experiment that runs; a test changes it."""
    made = tmp_path / "mine"
    made.mkdir()
    (made / "experiment.py").write_text(HEAD + SCENARIO + CLAIM)
    (made / "count.sh").write_text(SHELL)
    return made


def run(folder: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    return command.fab(
        "run-experiment", "--experiment", str(folder), "--runs", str(folder.parent / "runs"), *flags
    )


def played(
    tmp_path: Path, files: Mapping[str, str], within: Sequence[str] = ()
) -> tuple[StoredRun, str]:
    """Run an experiment of these files on the embedded lab; return the run and what was printed.

    Every verdict must be the expected one.
    """
    made = tmp_path / "played"
    made.mkdir()
    for name, text in files.items():
        (made / name).write_text(text)
    flags = ("--experiment", made, "--runs", tmp_path / "runs", "--provider", "namespaces")
    done = command.fab("run-experiment", *flags, within=within)
    assert done.returncode == 0, done.stdout + done.stderr
    return store.load(command.only_run(tmp_path / "runs")), done.stdout
