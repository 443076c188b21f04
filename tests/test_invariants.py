"""A scenario ends at once when what is always to be true is not any more."""

import pytest
from engine_play import Play, untraced
from fake_machine import FakeProcess, Script

from pushpull.analysis.event_text import EventDescriber

ALWAYS = "lab.always({condition}, 'at most three are under way'); lab.let_pass(60)"
AT_MOST_THREE = "lambda seen: seen.sent - seen.received <= 3"


def prints(*lines: str) -> Script:
    def script(process: FakeProcess) -> None:
        process.prints(*lines)
        process.wait()

    return untraced(script)


def test_a_broken_invariant_ends_the_run_at_once(play: Play, impatient: None) -> None:
    done = play(
        prints("0", "1", "2", "3", "4"), prints(), scenario=ALWAYS.format(condition=AT_MOST_THREE)
    )
    (broken,) = [e for e in done.stored.events if e.event == "broken"]
    assert EventDescriber().describe(broken) == "no longer true: at most three are under way"
    assert "no longer true: at most three are under way" in done.note
    assert done.exits() == {"src": (143, "harness"), "work": (143, "harness")}
    assert done.stored.description["cut"].endswith("at most three are under way.")


def test_one_that_holds_changes_nothing(play: Play, impatient: None) -> None:
    scenario = f"lab.always({AT_MOST_THREE}, 'few'); source.wait()"
    done = play(untraced(lambda process: process.prints("0", "1")), prints(), scenario=scenario)
    assert [e for e in done.stored.events if e.event == "broken"] == []
    assert "few" not in done.note


def test_one_that_cannot_be_evaluated_is_a_mistake_of_the_experiment(
    play: Play, impatient: None
) -> None:
    scenario = ALWAYS.format(condition="lambda seen: seen.nothing")
    done = play(prints("0"), prints(), scenario=scenario)
    assert "nothing" in str(done.error)


@pytest.mark.parametrize("statement", ["", "\x1b[31m"])
def test_its_statement_is_shown_harmlessly(play: Play, impatient: None, statement: str) -> None:
    scenario = f"lab.always(lambda seen: False, {statement!r})"
    done = play(prints("0"), prints(), scenario=scenario)
    (broken,) = [e for e in done.stored.events if e.event == "broken"]
    assert "\x1b" not in EventDescriber().describe(broken)
