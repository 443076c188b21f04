"""Counts of what became of messages in recorded runs, and their table."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from made_runs import MadeRun
from message_mutations import done
from story import LEAVING

from pushpull.analysis.figures import spreads
from pushpull.analysis.history import Run
from pushpull.analysis.outcome_table import MessageCounts, outcome, table
from pushpull.experiments.judges.line_formats import read
from pushpull.runs.store import load

INTERVAL_S = 0.1


def of(variant: str) -> MessageCounts:
    return outcome(Run(load(LEAVING / f"ways_to_leave.{variant}"), read), INTERVAL_S)


def test_what_is_late_is_not_lost() -> None:
    found = of("pause_resume")
    assert (found.sent, found.received, found.late, found.never) == (40, 40, 2, 0)
    assert found.noticed_s is None


def test_a_lost_message_never_arrived() -> None:
    found = of("pause")
    assert (found.sent, found.received, found.late, found.never, found.twice) == (40, 24, 0, 16, 0)


def test_a_line_that_is_captured_late_is_not_a_late_message() -> None:
    stored = done(1, "pull-2")(load(LEAVING / "ways_to_leave.kill"))
    assert outcome(Run(stored, read), INTERVAL_S).late == 0


def test_recovery_is_measured_from_the_repair() -> None:
    paused = of("pause_resume")
    assert paused.recovery_s is not None
    assert 0 <= paused.recovery_s < 0.1  # what waited in its socket comes through at once
    assert paused.backlog_s is not None
    assert paused.recovery_s <= paused.backlog_s < 0.1
    killed = load(LEAVING / "coming_back.kill")
    restarted = outcome(Run(killed, read), INTERVAL_S)
    assert restarted.recovery_s is not None
    assert restarted.recovery_s > 0.1  # the program starts again, connects, and has its turn
    assert restarted.backlog_s == 0
    assert json.dumps(asdict(restarted))  # as the files of a matrix have it


def test_lateness_counts_from_when_a_message_was_to_be_sent(tmp_path: Path) -> None:
    """The sender is held up for a second, and sends what it was to send then afterwards."""
    run = MadeRun(tmp_path, count=6)
    run.begin()
    for number, t in enumerate((1.0, 1.1, 2.2, 2.3, 2.4, 2.5)):
        run.sent(t, number)
        run.got(t + 0.01, number, "pull-1")
    made = Run(load(run.end(3.0)), read)
    found = outcome(made, INTERVAL_S)
    assert found.late == 0
    assert found.lateness_s == pytest.approx(1.01)
    assert outcome(made, 0.0).lateness_s is None
    assert outcome(made, 0.3).lateness_s is None  # it sends sooner than that


def test_a_repair_after_which_nothing_came_is_no_recovery() -> None:
    cut = of("cut_cable_maxrt")  # mended when the run was over
    assert cut.noticed_s is not None
    assert (cut.recovery_s, cut.backlog_s) == (None, None)
    assert of("kill").recovery_s is None


def test_a_figure_is_distributed_over_the_runs_that_have_it() -> None:
    found = {one.figure.label: one for one in spreads([of("kill"), of("pause"), of("pause")])}
    assert str(found["lost"]) == "16 (0 to 16)"
    assert str(found["first in a row"]) == "2"
    assert (found["noticed after"].count, found["noticed after"].runs) == (1, 3)
    assert str(found["noticed after"]).endswith("s in 1 of 3 runs")
    assert "recovered after" not in found
    assert list(spreads([])) == []


def test_the_table_has_medians_and_ranges() -> None:
    *_, pause, mixed = table(
        {"pause": [of("pause")] * 2, "mixed": [of("kill"), of("pause"), of("pause")]}
    ).splitlines()
    assert pause == "| pause | 2 | 40 | 24 | 0 | 16 | 0 | 2 | never | - |"
    assert (
        mixed
        == "| mixed | 3 | 40 | 24 (24 to 40) | 0 | 16 (0 to 16) | 0 | 2 | 0.00 s (in 1 of 3) | - |"
    )


def test_the_table_has_the_figures_of_own_quantities() -> None:
    few = replace(of("pause"), quantities={"a|b_ms median": 1.23456})
    many = replace(of("pause"), quantities={"a|b_ms median": 3.0, "x p99": math.inf})
    head, _, mixed, plain = table({"mixed": [few, many], "plain": [of("pause")]}).splitlines()
    assert head.endswith(r"| recovered after | a\|b_ms median | x p99 |")
    assert mixed.endswith("| 2.117 (1.235 to 3) | inf |")
    assert plain.endswith("| - | - |")
