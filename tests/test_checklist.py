"""`fab claims`: every claim with its last verdict, for people, as JSON and as JUnit's XML."""

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import command
import pytest
from story import RECORDED

from pushpull.experiments import catalogue


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with two runs of one experiment, the later one refuted in a claim."""
    for name, verdict in (("20261124T000001Z", "holds"), ("20261124T000002Z", "refuted")):
        run = tmp_path / f"{name}-kill_worker"
        shutil.copytree(RECORDED / "kill_worker", run)
        verdicts = json.loads((run / "verdicts.json").read_text())
        verdicts[0] |= {"verdict": verdict, "why": "so it \x1b[31mis\x00."}
        (run / "verdicts.json").write_text(json.dumps(verdicts))
    return tmp_path


def test_without_runs_every_claim_is_listed_and_none_is_decided(tmp_path: Path) -> None:
    listed = command.fab("claims", "--runs", tmp_path, "--json", tmp_path / "claims.json")
    assert listed.returncode == 3, listed.stderr
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert len(claims) == sum(
        len(e.claims) * len(e.variants) for e in map(catalogue.load, catalogue.names())
    )
    assert {claim["verdict"] for claim in claims} == {"never run"}
    assert f"{len(claims)} claims: 0 decided" in listed.stdout
    assert all(claim["statement"] in " ".join(listed.stdout.split()) for claim in claims)


def test_the_last_verdict_counts_and_names_its_run(runs: Path) -> None:
    listed = command.fab(
        "claims", "--experiment", "kill_worker", "--runs", runs,
        "--json", runs / "c.json", "--junit", runs / "c.xml",
    )  # fmt: skip
    assert listed.returncode == 1, listed.stderr
    first, *others = json.loads((runs / "c.json").read_text())
    assert (first["verdict"], first["run"]) == ("refuted", "20261124T000002Z-kill_worker")
    assert [claim["verdict"] for claim in others] == ["holds", "holds"]
    (suite,) = ElementTree.parse(runs / "c.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "refuted: so it \\x1b[31mis\\x00."
    assert "\x1b" not in listed.stdout


def test_a_file_that_cannot_be_written_is_a_mistake(tmp_path: Path) -> None:
    listed = command.fab("claims", "--runs", tmp_path, "--json", tmp_path / "no" / "such.json")
    assert listed.returncode == 2
    assert "can't be written: No such file or directory" in listed.stderr


@pytest.mark.slow
@pytest.mark.alone
def test_the_quick_part_decides_every_claim_in_two_minutes(tmp_path: Path) -> None:
    listed = subprocess.run(
        [*command.FAB, "claims", "--quick", "--runs", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=118,
    )
    assert listed.returncode == 0, listed.stdout[-3000:] + listed.stderr
    total, decided = listed.stdout.splitlines()[-1].partition(" claims: ")[::2]
    assert decided.startswith(f"{total} decided, {total} of them")
