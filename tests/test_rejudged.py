"""Verdicts are pure functions of the run directory: computed again, they are the same."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import command
import pytest
from story import EXPERIMENTS, RECORDED, recorded

from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.runs.store import StoredRun, load


def judged(run: StoredRun) -> list[dict[str, Any]]:
    experiment = catalogue.load(run.description["experiment"])
    return judge(run, experiment, partial=run.state != "finished")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_verdicts_are_those_that_were_written(experiment: str) -> None:
    run = recorded(experiment)
    again = judged(run)
    assert again == run.verdicts == json.loads(json.dumps(again))
    assert {v["verdict"] == v["expected"] for v in again} == {True}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_location_of_a_run_does_not_matter(experiment: str, tmp_path: Path) -> None:
    moved = shutil.copytree(RECORDED / experiment, tmp_path / "elsewhere")
    assert judged(load(moved)) == recorded(experiment).verdicts


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_order_in_which_machines_were_heard_does_not_matter(experiment: str) -> None:
    """Lines of two machines, and what was seen of them, may be captured in any order."""
    run = recorded(experiment)
    records, events = list(run.records), list(run.events)
    random.Random(1).shuffle(records)
    random.Random(2).shuffle(events)
    again = judged(replace(run, records=tuple(records), events=tuple(events)))
    assert again == run.verdicts


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_hash_seed_does_not_matter(seed: str) -> None:
    code = (
        "import json, sys; from test_rejudged import *\n"
        "print(json.dumps([judged(recorded(e)) for e in EXPERIMENTS]))"
    )
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == [recorded(e).verdicts for e in EXPERIMENTS]


@pytest.mark.slow
def test_real_runs_judged_again(tmp_path: Path) -> None:
    command.fab("run-experiment", "--interval", "0.03", "--runs", tmp_path)
    found = [load(path) for path in tmp_path.glob("*Z-*")]
    runs = sorted(found, key=lambda run: run.description["started"])  # two may share a second
    assert [run.description["experiment"] for run in runs] == list(EXPERIMENTS)
    for run in runs:
        assert run.verdicts == judged(run)


def test_an_interrupted_run_is_partial_and_judged_the_same(tmp_path: Path) -> None:
    with command.started(
        "run-experiment", "--experiment", "kill_worker", "--interval", "0.1", "--runs", tmp_path
    ) as fab:
        said = command.read_until(fab, "9 , ")
        fab.send_signal(signal.SIGINT)
        said += fab.communicate()[0]
    assert fab.returncode == 4, said
    assert "Traceback" not in said
    run = load(command.only_run(tmp_path))
    assert run.state == "interrupted"
    assert run.verdicts == judged(run)
    assert all(verdict["partial"] for verdict in judged(run))
    assert {v["verdict"] for v in judged(run)} <= {"holds", "not observed"}
