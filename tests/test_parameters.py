"""Parameters that an experiment declares: set, varied, handed on, and what is wrong with them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import fab

from pushpull.api import experiment
from pushpull.cli.call import quick_call, role_of, with_setting
from pushpull.core import parameters
from pushpull.core.errors import ExitCode, LabError
from pushpull.runs import store

MODULE = '''"""How many workers say so."""

from pushpull.api import Verdict, claim, experiment, printed


@experiment(source="a test", parameters={"workers": 3, "pace": 0.5, "loud": False, "word": "hi"})
def crew(lab):
    for _ in range(lab.parameters["workers"]):
        lab.start("hello", on="pusher").wait()


@claim("Each says so.")
def each(run):
    said = [line.text for line in printed(run, "hello")]
    as_many = len(said) == run.parameters["workers"]
    return Verdict.holds(str(said)) if as_many else Verdict.refuted(str(said))
'''
HELLO = """#!/bin/sh
echo "$LAB_PARAMETER_WORKERS $LAB_PARAMETER_PACE $LAB_PARAMETER_LOUD $LAB_PARAMETER_WORD"
"""
DECLARED = {"workers": 3, "pace": 0.5, "loud": False, "word": "hi"}


@pytest.fixture
def crew(tmp_path: Path) -> Path:
    folder = tmp_path / "crew"
    folder.mkdir()
    (folder / "experiment.py").write_text(MODULE)
    (folder / "hello.sh").write_text(HELLO)
    return folder


def test_parameters_reach_scenario_programs_claims_and_run(crew: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    flags = ("--experiment", crew, "--runs", runs, "--set", "workers=5", "--set", "SNDHWM=7")
    done = fab("run-experiment", *flags)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    run = store.load(store.find(runs, None))
    assert run.description["parameters"] == {
        "count": 20, "interval": 1.0, "options": ["SNDHWM=7"], "variant": "",
        "workers": 5, "pace": 0.5, "loud": False, "word": "hi",
    }  # fmt: skip
    assert [record.text for record in run.records if record.stream == "stdout"] == (
        ["5 0.5 false hi"] * 5
    )
    assert "--set workers=5" in run.description["command"]
    assert "<dt>workers</dt><dd>5</dd>" in (run.path / "report.html").read_text()
    assert json.loads((run.path / "run.json").read_text())["code"]["experiment"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("workers=-5", -5),
        ("pace=2", 2.0),
        ("pace=1e-3", 0.001),
        ("loud=true", True),
        ("word=", ""),
        ("word=a=b c", "a=b c"),
    ],
)
def test_a_value_has_the_type_of_its_default(setting: str, value: object) -> None:
    found = parameters.given(DECLARED, [setting, "SNDHWM=1"], experiment="crew")
    assert found == DECLARED | {setting.partition("=")[0]: value}
    assert type(found[setting.partition("=")[0]]) is type(value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("workers=x", "invalid value 'x' for 'workers'.*give a whole number, such as workers=3"),
        ("workers=1.5", "give a whole number"),
        ("workers=", "give a whole number"),
        ("pace=nan", "give a number, such as pace=0.5"),
        ("pace=1e999", "give a number"),
        ("loud=yes", "give true or false, such as loud=false"),
        ("word=a,b", "give a text without commas"),
        ("worker=5", "no parameter 'worker'.*did you mean 'workers'.* workers=3, pace=0.5, loud="),
    ],
)
def test_a_mistake_says_what_exists(setting: str, said: str) -> None:
    with pytest.raises(LabError) as caught:
        parameters.given(DECLARED, [setting], experiment="crew")
    assert re.search(said, " ".join(str(caught.value).split()))


def test_a_mistake_is_seen_before_anything_runs(crew: Path, tmp_path: Path) -> None:
    for flags in (
        ("run-experiment", "--experiment", crew, "--set", "wrkers=5"),
        ("sweep", "--experiment", crew, "--vary", "wrkers=2,5"),
    ):
        done = fab(*flags, "--runs", tmp_path / "runs")
        assert done.returncode == ExitCode.MISTAKE
        assert "did you mean 'workers'?" in done.stderr
    done = fab("run-experiment", "--set", "workers=5", "--runs", tmp_path / "runs")
    assert "'round_robin' has no parameter 'workers'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_parameter_precedes_a_role_of_that_name(crew: Path, tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(
        "network: 192.168.0.0/24\nmachines:\n"
        "  a: {role: pusher, address: 192.168.0.1}\n  b: {role: puller, address: 192.168.0.2}\n"
        "  c: {role: worker, address: 192.168.0.3}\n"
    )
    call = quick_call("namespaces", str(tmp_path / "inventory.yaml"), tmp_path / "runs")
    assert role_of(call, "workers") == "worker"
    own = replace(call, experiment=str(crew))
    assert role_of(own, "workers") is None
    assert with_setting(own, "workers", "5").options == ["workers=5"]


@pytest.mark.parametrize(
    "declared", [{"count": 3}, {"Big": 3}, {"a-b": 1}, {"x": None}, {"x": [1]}, {"x": "a,b"}]
)
def test_what_cannot_be_declared(declared: Any) -> None:
    with pytest.raises(ValueError, match=r"parameter|setting of every run"):
        experiment(source="a test", parameters=declared)
