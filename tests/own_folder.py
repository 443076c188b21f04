"""An experiment of a user's own, in a folder, for tests to change."""

import subprocess
from pathlib import Path

import command
import pytest

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
