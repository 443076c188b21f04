"""The wheel, as it is used in an empty folder without a clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import PROJECT

pytestmark = pytest.mark.slow

TEST = """
COUNT = "import time\\nfor n in range(500): print('got', n, flush=True); time.sleep(0.005)"

def test_the_others_go_on(lab):
    workers = lab.start(["{python}", "-c", COUNT], on=lab.machines())
    victim = lab.first(workers, prints=lambda line: line == "got 7")
    lab.kill(victim)
    lab.more(workers.without(victim), lines=10)
    assert lab.run().fault.machine == victim.machine
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the wheel's files precede the clone's."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, PROJECT], check=True, timeout=300)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True, timeout=300
    )
    return {"PYTHONPATH": str(folder / "site")}


def test_the_command_runs_an_experiment(installed: dict[str, str], tmp_path: Path) -> None:
    command = Path(installed["PYTHONPATH"]) / "bin/pushpull"
    words = "run-experiment --experiment round_robin --interval 0.01 --provider namespaces"
    python = os.path.relpath(sys.executable, tmp_path)  # a path that begins with `..`
    done = subprocess.run(
        [python, command, *words.split()],
        cwd=tmp_path,
        env=os.environ | installed,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 3), done.stderr
    assert (tmp_path / "runs/latest/report.html").exists()
    assert "\nagain: pushpull run-experiment" in done.stdout


def test_a_test_has_machines(installed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TEST)
    pytest_there = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-q"]
    done = subprocess.run(
        pytest_there, cwd=tmp_path, env=os.environ | installed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} >= {".lab", "runs"}
