"""A turn that skips a full queue says nothing about machines that keep up."""

from pathlib import Path

import pytest
from made_runs import MadeRun

from pushpull.runs.store import load

COUNT = 1200


@pytest.mark.parametrize(
    ("behind", "verdict"), [(0, "refuted"), (400, "refuted"), (1100, "not observed")]
)
def test_strict_turns_of_machines_that_fell_behind(
    tmp_path: Path, behind: int, verdict: str
) -> None:
    """Message 1100 goes to the wrong one, while so many wait for the two machines together."""
    run = MadeRun(tmp_path, "round_robin", COUNT)
    run.begin()
    for number in range(COUNT + behind):
        t = 1 + number / 100
        if number < COUNT:
            run.sent(t, number)
        if number >= behind:
            taken = number - behind
            odd = (taken + (taken >= 1100)) % 2
            run.got(t + 0.001, taken, f"pull-{1 + odd}")
    stored = load(run.end(60.0))
    assert stored.verdicts is not None
    (found,) = (v for v in stored.verdicts if v["id"] == "round_robin.turns_are_strict")
    assert found["verdict"] == verdict, found["why"]
