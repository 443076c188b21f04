"""Counts of what became of messages in recorded runs, and their table."""

from message_mutations import done
from story import LEAVING

from lab.analysis.history import Run
from lab.analysis.outcome_table import MessageCounts, outcome, table
from lab.experiments.judges.line_formats import read
from lab.runs.store import load

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


def test_the_table_has_medians_and_ranges() -> None:
    *_, pause, mixed = table(
        {"pause": [of("pause")] * 2, "mixed": [of("kill"), of("pause"), of("pause")]}
    ).splitlines()
    assert pause == "| pause | 2 | 40 | 24 | 0 | 16 | 0 | never |"
    assert mixed == "| mixed | 3 | 40 | 24 (24 to 40) | 0 | 16 (0 to 16) | 0 | 0.00 s (in 1 of 3) |"
