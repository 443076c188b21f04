"""Each broker that this computer has, killed and started again by the lab."""

from pathlib import Path

import pytest
from command import fab
from test_conformance import every, missing

from pushpull.core.vocabulary import BROKER
from pushpull.experiments import catalogue, implementations
from pushpull.experiments.implementations import Choice


def installed() -> list[str]:
    return [n for n in every() if BROKER in implementations.get(n).programs and not missing(n)]


@pytest.mark.slow
@pytest.mark.timeout(400)  # the conformance test comes first, and RabbitMQ starts for seconds
@pytest.mark.parametrize("name", installed())
def test_it_is_killed_and_started_again(name: str, tmp_path: Path) -> None:
    experiment = catalogue.load("restart_broker")
    for variant in experiment.variants:
        if not implementations.lacking(experiment, variant, Choice(rest=name)):
            call = ["--experiment", f"restart_broker:{variant}", "--implementation", name]
            done = fab("run-experiment", *call, "--runs", tmp_path / "runs")
            assert done.returncode == 0, done.stdout + done.stderr
