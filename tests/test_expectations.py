"""What is known of an implementation: in its manifest, and what claims then expect."""

import io
import sys
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_manifest import GOOD, made

from pushpull.analysis.tally import Tally, add
from pushpull.core import run_schema
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.verdict import Need, Outcome
from pushpull.engine.experiment import Experiment
from pushpull.engine.judge import exit_code, judged
from pushpull.experiments import catalogue, expectations, implementations, manifest
from pushpull.experiments.implementations import Choice
from pushpull.experiments.manifest import Expectation
from pushpull.report import page, verdicts
from pushpull.report.claims_list import ListedClaim, write_junit
from pushpull.report.tallies import print_tallies
from pushpull.runs import store

RECORDED = Path(__file__).parent / "recorded" / "kill_worker"
ENTRY = """
[[expected]]
claims = ["kill_worker.nothing_*"]
verdict = "refuted"
because = "it is so"
source = "push.sh, line 1"
"""


def expected(name: str, sender: str, receiver: str) -> Experiment:
    choice = Choice({"sender": sender, "receiver": receiver})
    return expectations.applied(catalogue.load(name), "", choice)


def outcomes(experiment: Experiment) -> dict[str, tuple[Outcome, Need]]:
    return {claim.id: (claim.expected, claim.need) for claim in experiment.claims}


def test_claims_expect_what_is_known_of_the_sender() -> None:
    """The order of the turn is the sender's, whoever receives."""
    by_libzmq = outcomes(expected("leaving_the_turn", "pyzmq", "perl"))
    by_perl = outcomes(expected("leaving_the_turn", "perl", "pyzmq"))
    assert by_libzmq["others_keep_their_order"] == (Outcome.REFUTED, Need.NEVER)
    assert by_perl["others_keep_their_order"] == (Outcome.HOLDS, Need.ALWAYS)
    assert by_perl["last_takes_its_place"] == (Outcome.REFUTED, Need.NEVER)
    assert by_perl["shares_are_equal"] == by_libzmq["shares_are_equal"]


def test_without_a_kind_any_of_its_programs_makes_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Expectation(
        claims=("kill_worker.*",), verdict=Outcome.NOT_APPLICABLE, because="b", source="", kind=""
    )
    perl = replace(implementations.get("perl"), expected=(one,))
    real = implementations.get
    monkeypatch.setattr(implementations, "get", lambda n: perl if n == "perl" else real(n))
    for receiver, found in (("pyzmq", {Outcome.HOLDS}), ("perl", {Outcome.NOT_APPLICABLE})):
        assert {
            o for o, _ in outcomes(expected("kill_worker", "pyzmq", receiver)).values()
        } == found


def test_a_claim_rests_on_no_other_library() -> None:
    by_perl = expected("ten_workers", "perl", "perl")
    assert not any("libzmq" in claim.rests_on for claim in by_perl.claims)
    assert "Zmtp.pm" in by_perl.claims[0].rests_on


def test_every_entry_is_about_a_claim_that_exists() -> None:
    experiments = [catalogue.load(name) for name in catalogue.names()]
    ids = {
        f"{e.name}:{variant}.{claim.id}" if variant else f"{e.name}.{claim.id}"
        for e in experiments
        for variant in e.variants
        for claim in e.claims
    }
    for name in implementations.titles():
        for one in implementations.get(name).expected:
            for pattern in one.claims:
                assert any(fnmatchcase(i, pattern) for i in ids), (name, pattern)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"refuted"', '"wrong"', ["`expected[0].verdict`", "not applicable"]),
        ("because =", "why =", ["`expected[0].why` is no key", "because"]),
        ('source = "push.sh, line 1"', "", ["`expected[0].source`", "is missing"]),
        ('source = "push.sh, line 1"', 'source = "s"\nkind = "pusher"', ["kind", "sender"]),
    ],
)
def test_a_mistake(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in ENTRY
    folder = made(tmp_path, GOOD + ENTRY.replace(old, new, 1))
    with pytest.raises(LabError) as caught:
        manifest.load(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_of_a_version_only(tmp_path: Path) -> None:
    text = f'{GOOD}{ENTRY}versions = ["2.*"]\n[versions."2.1"]\n[versions."3.0"]\n'
    folder = made(tmp_path, text)
    found = {v: len(manifest.load(folder, v).expected) for v in ("", "2.1", "3.0")}
    assert found == {"": 0, "2.1": 1, "3.0": 0}


def test_what_is_not_applicable_is_no_success() -> None:
    """It is judged by nothing, counts for no exit code, and alone is no result."""
    experiment = catalogue.load("kill_worker")
    first, *others = experiment.claims
    because = "there is no machine that could be killed"
    not_so = replace(first, expected=Outcome.NOT_APPLICABLE, because=because)
    found = judged(store.load(RECORDED), replace(experiment, claims=(not_so, *others))).verdicts
    assert (found[0]["verdict"], found[0]["why"]) == ("not applicable", because)
    assert exit_code(found) == ExitCode.EXPECTED
    assert exit_code(found[:1]) == ExitCode.NOT_OBSERVED
    refuted = [found[0], found[1] | {"verdict": "refuted"}]
    assert exit_code(refuted) == ExitCode.UNEXPECTED


def test_a_stored_run_is_judged_by_what_is_known_of_its_implementation() -> None:
    stored = store.load(RECORDED.parents[1] / "recorded_more" / "leaving_the_turn")
    by_perl = replace(stored, description=stored.description | {"implementation": "perl"})
    gone = replace(stored, description=stored.description | {"implementation": "nobody"})
    found = [outcomes(catalogue.of_run(one)) for one in (stored, by_perl, gone)]
    assert [one["others_keep_their_order"][0] for one in found] == ["refuted", "holds", "refuted"]


NOT_SO = {
    "id": "mine.first", "statement": "It holds.", "source": "s", "verdict": "not applicable",
    "expected": "holds", "because": "", "need": "always", "by_chance": False,
    "evidence": {"messages": [], "events": []}, "why": "there is no broker",
}  # fmt: skip


def test_not_applicable_on_the_screen_and_on_the_page() -> None:
    shown = io.StringIO()
    verdicts.show_verdicts([NOT_SO, NOT_SO | {"verdict": "holds"}], file=shown)
    text = " ".join(shown.getvalue().split())
    assert "not applicable: there is no broker" in text
    assert "2 claims: 1 as expected; 1 not applicable" in text
    assert page.SIGNS.keys() == verdicts.KINDS.keys()
    run_schema.require_verdicts([NOT_SO])


def test_not_applicable_in_the_list_of_claims(tmp_path: Path) -> None:
    item = ListedClaim(
        title="mine", experiment="mine", experiment_source="s", planned_s=1.0, id="first",
        statement="It holds.", source="s", expected="not applicable", need="always",
        by_chance=False, rests_on="", disputed_by="", verdict=NOT_SO, run="run",
    )  # fmt: skip
    assert (item.decided, item.as_expected) == (False, False)
    write_junit([item], tmp_path / "c.xml")
    (suite,) = ElementTree.parse(tmp_path / "c.xml").getroot()
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")


def test_not_applicable_in_many_runs(capsys: pytest.CaptureFixture[str]) -> None:
    tallies: dict[str, Tally] = {}
    for _ in range(3):
        add(tallies, [NOT_SO])
    (tally,) = tallies.values()
    assert (tally.proportion.runs, tally.not_observed) == (0, 0)
    print_tallies(tallies, anytime=False, file=sys.stdout)
    assert "not applicable: there is no broker" in capsys.readouterr().out
