"""`fab run-experiment --repeat` and `--until decided`: how often each claim holds."""

import re
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import command
import pytest
from quick import rest_slow

from pushpull.analysis.campaign import Cell
from pushpull.analysis.tally import Tally, add
from pushpull.api import claim
from pushpull.cli import repeat
from pushpull.cli.call import quick_call
from pushpull.cli.sweep_pool import Done
from pushpull.cli.sweep_worker import Answer
from pushpull.core.errors import ExitCode
from pushpull.core.verdict import Need, Outcome
from pushpull.experiments import catalogue
from pushpull.report import junit
from pushpull.report.tallies import print_tallies

MODULE = '''"""One program says hello."""

from pushpull.api import Outcome, Verdict, claim, experiment, printed


@experiment(source="a test")
def greeting(lab):
    lab.start("hello", on="pusher").wait()


@claim("It says hello.")
def says_hello(run):
    said = [record.text for record in printed(run, "hello")]
    return Verdict.{outcome}(str(said))
'''


@pytest.fixture
def greeting(tmp_path: Path) -> Path:
    folder = tmp_path / "greeting"
    folder.mkdir()
    (folder / "experiment.py").write_text(MODULE.format(outcome="holds"))
    (folder / "hello.sh").write_text("#!/bin/sh\necho hello\n")
    return folder


def repeated(folder: Path, *flags: object) -> Any:
    runs = folder.parent / "runs"
    return command.fab("run-experiment", "--experiment", folder, "--runs", runs, *flags)


@pytest.mark.slow
def test_a_few_repeats_are_counted_and_decide_nothing(greeting: Path) -> None:
    file = greeting.parent / "found.xml"
    done = repeated(greeting, "--repeat", 3, "--junit", file)
    assert done.returncode == ExitCode.NOT_OBSERVED, done.stdout + done.stderr
    assert "run 3 of 3: as expected" in done.stdout
    said = " ".join(done.stdout.split())
    assert "held in 3 of 3 runs (43.9% to 100.0%); always: not enough runs to tell" in said
    (suite,) = ElementTree.parse(file).getroot()
    assert suite.attrib["skipped"] == "1"
    assert suite[0][0].attrib["message"] == "held in 3 of 3 runs"
    runs = greeting.parent / "runs"
    assert len(list(runs.glob("*Z-*"))) == 3  # each can be looked at
    cut = next(iter(sorted(runs.glob("*Z-*")))) / "run.json"  # as after `kill -9`
    cut.write_text(cut.read_text().replace('"state": "finished"', '"state": "running"'))
    done = repeated(greeting, "--repeat", 4)
    assert "2 runs exist already, at most 2 are missing" in done.stdout, done.stderr
    assert "run 4 of 4: as expected" in done.stdout
    assert "held in 4 of 4 runs" in done.stdout
    assert len(list(runs.glob("*Z-*"))) == 5


@pytest.mark.slow
def test_it_ends_when_all_is_decided(greeting: Path) -> None:
    (greeting / "experiment.py").write_text(MODULE.format(outcome="refuted"))
    done = repeated(greeting, "--until", "decided")
    assert done.returncode == ExitCode.UNEXPECTED, done.stdout + done.stderr
    runs = len(re.findall(r"^run \d+ of 500: greeting.says_hello refuted$", done.stdout, re.M))
    assert 0 < runs < 10
    assert f"held in 0 of {runs} runs" in done.stdout
    assert "always: no" in " ".join(done.stdout.split())


@pytest.mark.slow
def test_ctrl_c_shows_what_was_counted_so_far(greeting: Path) -> None:
    runs = greeting.parent / "runs"
    flags = ("--experiment", greeting, "--runs", runs, "--repeat", 100)
    with command.started("run-experiment", *flags) as fab:
        said = command.read_until(fab, "run 2 of 100")
        fab.send_signal(signal.SIGINT)
        said += fab.communicate()[0]
    assert fab.returncode == ExitCode.INTERRUPTED, said
    assert re.search(r"held in \d+ of \d+ runs", said)


def test_runs_count_in_the_order_of_their_beginning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Failures often take longer: those that end first must not decide by themselves."""
    ends = [3, 0, 1, 2, 5, 4]

    class Pool:
        def __init__(self, *_: object) -> None: ...

        def results(self, todo: Iterable[tuple[int, Cell]]) -> Iterator[Done]:
            cells = dict(todo)
            assert len(cells) == len(ends)
            for number in ends:
                yield Done(number=number, cell=cells[number], answer=Answer(code=ExitCode.EXPECTED))

    monkeypatch.setattr(repeat, "Pool", Pool)
    call = quick_call("namespaces", "", tmp_path)
    campaign = repeat.Repeat(call=call, repeat=3, at_once=None)
    every = [Cell("one"), Cell("two")]
    rounds = [
        [(d.number, d.cell.variant) for d in made] for made in repeat._rounds(campaign, every)
    ]
    assert rounds == [
        [(0, "one"), (1, "two")],
        [(2, "one"), (3, "two")],
        [(4, "one"), (5, "two")],
    ]


@pytest.mark.parametrize(
    ("flags", "said"),
    rest_slow(
        [
            (("--repeat", "0"), "invalid --repeat '0'"),
            (("--repeat", "many"), "invalid --repeat 'many'"),
            (("--until", "bored"), "invalid --until 'bored'"),
        ]
    ),
)
def test_flags_that_mean_nothing(greeting: Path, flags: tuple[str, str], said: str) -> None:
    done = repeated(greeting, *flags)
    assert done.returncode == ExitCode.MISTAKE
    assert said in done.stderr


def verdict(outcome: str, expected: str = "holds") -> dict[str, str]:
    return {"id": "a.b", "statement": "It is so.", "verdict": outcome, "expected": expected}


def test_a_tally_counts_what_was_observed() -> None:
    tallies: dict[str, Tally] = {}
    for outcome in ("holds", "refuted", "not observed", "holds"):
        add(tallies, [verdict(outcome)])
    tally = tallies["a.b"]
    assert (tally.proportion.held, tally.proportion.runs, tally.not_observed) == (2, 3, 1)
    assert tally.need is Need.ALWAYS
    assert Tally(verdict("refuted", "refuted")).need is Need.NEVER
    assert Tally(verdict("holds") | {"need": "in most runs"}).need is Need.MOST


def test_verdicts_as_junit(tmp_path: Path) -> None:
    found = [verdict("holds"), verdict("refuted"), verdict("not observed")]
    cases = junit.of_verdicts([one | {"why": "as \x1b seen"} for one in found])
    junit.write(cases, tmp_path / "found.xml")
    (suite,) = ElementTree.parse(tmp_path / "found.xml").getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == (
        "3", "1", "1",
    )  # fmt: skip
    assert [case[0].tag for case in suite] == ["system-out", "failure", "skipped"]
    assert suite[1][0].attrib["message"] == "refuted: as \\x1b seen"


def test_a_claim_says_what_it_needs() -> None:
    needs = {claim.id: claim.need for claim in catalogue.load("round_robin").claims}
    assert needs["turns_are_strict"] is Need.ALWAYS
    assert needs["first_gets_two"] is Need.MOST
    assert needs["because_second_is_not_connected"] is Need.NEVER


@pytest.mark.parametrize(
    ("expected", "need"),
    [
        (Outcome.HOLDS, Need.NEVER),
        (Outcome.REFUTED, Need.ALWAYS),
        (Outcome.REFUTED, Need.MOST),
        (Outcome.HOLDS, "sometimes"),
    ],
)
def test_a_need_that_contradicts_what_is_expected(expected: Outcome, need: Any) -> None:
    with pytest.raises(ValueError, match=r"contradicts|not a valid Need"):
        claim("It is so.", expected=expected, need=need)


def test_a_claim_that_was_never_observed_is_never_exercised(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tallies: dict[str, Tally] = {}
    for _ in range(3):
        add(tallies, [verdict("not observed")])
    assert tallies["a.b"].never_exercised
    assert tallies["a.b"].met(anytime=False) is None
    print_tallies(tallies, anytime=False, file=sys.stdout)
    assert "never exercised: not observed in any of 3 runs" in capsys.readouterr().out
