"""`fab quiz`: predictions, compared with what a run shows."""

import json
import subprocess
from pathlib import Path
from typing import Any

from command import FAB

from pushpull.cli.quiz import compared
from pushpull.core.verdict import Outcome


def verdict(name: str, outcome: str) -> dict[str, Any]:
    return {"id": f"mine.{name}", "statement": f"{name} is so.", "verdict": outcome, "why": "Why."}


def test_right_wrong_unsaid_and_undecided() -> None:
    predictions = {"a": Outcome.HOLDS, "b": Outcome.HOLDS, "c": None, "d": Outcome.REFUTED}
    verdicts = [
        verdict("a", "holds"),
        verdict("b", "refuted"),
        verdict("c", "holds"),
        verdict("d", "not observed"),
    ]
    assert list(compared(predictions, verdicts)) == [
        "✓ 1. a is so.",
        "✗ 2. b is so.\n     You said that it holds; it is refuted: Why.",
        "✗ 3. c is so.\n     You didn't say; it holds: Why.",
        "- 4. d is so.\n     This run doesn't decide it: Why.",
        "1 of 3 predicted rightly",
    ]


def quiz(folder: Path, answers: str, experiment: str) -> subprocess.CompletedProcess[str]:
    command = [*FAB, "quiz", "--experiment", experiment, "--interval", "0.01", "--runs", "runs"]
    command += ["--provider", "namespaces"]
    return subprocess.run(command, cwd=folder, input=answers, capture_output=True, text=True)


def test_answers_are_kept_in_the_run(tmp_path: Path) -> None:
    done = quiz(tmp_path, "y\nperhaps\nn\ny\n", "kill_worker")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/latest"
    outcomes = [one["verdict"] for one in json.loads((run / "verdicts.json").read_text())]
    assert outcomes == ["holds"] * 3
    kept = (run / "quiz.txt").read_text()
    assert kept.endswith("2 of 3 predicted rightly\n")
    assert kept in done.stdout
    assert done.stdout.count("[y/n]") == 4


def test_nobody_to_ask(tmp_path: Path) -> None:
    done = quiz(tmp_path, "y\n", "kill_worker")
    assert (done.returncode, "no more answers" in done.stderr) == (2, True)
    assert not (tmp_path / "runs").exists()


def test_a_variant_must_be_chosen(tmp_path: Path) -> None:
    done = quiz(tmp_path, "", "ways_to_leave")
    assert done.returncode == 2
    assert "choose one, such as ways_to_leave:" in done.stderr
