"""The harness knows no subject: only experiments and their programs name what they are about."""

import re
from pathlib import Path

from pushpull.experiments import catalogue

LAB = Path(__file__).parents[1] / "lab"
SUBJECT = re.compile(r"\b(push|pull|pusher|puller|ventilator|article)(s|'s)?\b", re.IGNORECASE)
OURS = re.compile(r"push-pull[- ]lab")  # the name of the software itself


def test_nothing_outside_the_experiments_and_programs_names_their_subject() -> None:
    files = [path for path in LAB.rglob("*.py") if "__pycache__" not in path.parts]
    outside = [p for p in files if p.relative_to(LAB).parts[0] not in ("experiments", "programs")]
    found = [
        f"{path.relative_to(LAB)}:{number}: {line.strip()}"
        for path in outside
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SUBJECT.search(OURS.sub("", line))
    ]
    assert len(outside) > 30
    assert found == []


def test_experiments_and_programs_can_be_read_aloud() -> None:
    programs = sorted((LAB / "programs").glob("*.py"))
    experiments = [
        path
        for path in sorted((LAB / "experiments").glob("*.py"))
        if "\n@experiment(" in path.read_text()
    ]
    long = {
        path.name: lines
        for path in (*programs, *experiments)
        if (lines := len(path.read_text().splitlines())) > 60
    }
    assert len(experiments) > 20
    assert long == {}


def test_every_claim_names_what_it_rests_on() -> None:
    """In every experiment that names it at all: those of the article do so in docs/turns.md."""
    every = map(catalogue.load, catalogue.names())
    told = [e for e in every if any(claim.rests_on for claim in e.claims)]
    without = [
        f"{experiment.name}.{claim.id}"
        for experiment in told
        for claim in experiment.claims
        if not (claim.rests_on or claim.source)
    ]
    assert len(told) >= 20
    assert without == []
