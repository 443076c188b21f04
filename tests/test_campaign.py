"""Campaigns of many runs: how many labs at once, resized inventories, tables and the page."""

import csv
import importlib.util
import io
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from command import PROJECT
from story import LEAVING

from lab.analysis.campaign import CampaignRun, Cell, claim_rows, csv_of, run_rows, tallies_of
from lab.cli import campaign_files
from lab.cli.capacity import Capacity
from lab.core.errors import LabError
from lab.engine.judge import judge
from lab.experiments import catalogue
from lab.machines.inventory import load, resized
from lab.report import campaign_page
from lab.runs.store import StoredRun
from lab.runs.store import load as load_run

CALM, HURRIED, LATE = 0.01, 0.2, 0.3


def after(capacity: Capacity, lateness: Sequence[float]) -> list[int]:
    """Return the numbers of labs after each of these runs."""
    numbers = []
    for late_s in lateness:
        capacity.note(late_s)
        numbers.append(capacity.labs)
    return numbers


def test_more_labs_while_runs_are_in_time() -> None:
    assert after(Capacity(2, 64), [CALM] * 4) == [3, 4, 5, 6]  # each run adds one: it doubles
    assert after(Capacity(2, 3), [CALM] * 3) == [3, 3, 3]  # memory for three


def test_half_as_many_labs_when_one_is_late() -> None:
    capacity = Capacity(8, 64)
    assert after(capacity, [LATE]) == [4]
    assert after(capacity, [LATE] * 7) == [4] * 7  # they began when there were eight
    assert after(capacity, [CALM] * 4) == [4, 4, 4, 5]  # from now on one more a round
    assert after(capacity, [CALM, CALM, HURRIED, *[CALM] * 5]) == [5] * 7 + [6]
    assert after(Capacity(1, 64), [LATE, LATE]) == [1, 1]


def test_a_number_that_the_user_gave_stays() -> None:
    assert after(Capacity.fixed(3), [CALM, LATE, CALM]) == [3, 3, 3]


def test_the_number_settles_where_the_computer_is_full() -> None:
    """A computer that is late with more than 12 labs: most runs take place in 6 to 13."""
    chance = random.Random(3)
    capacity, seen = Capacity(2, 64), []
    for _ in range(400):
        capacity.note(LATE if capacity.labs > 12 else chance.uniform(0, 0.09))
        seen.append(capacity.labs)
    assert sum(6 <= labs <= 13 for labs in seen[40:]) > 300
    assert max(seen) == 13


def test_a_resized_inventory_is_a_file_like_any_other(tmp_path: Path) -> None:
    original = load(PROJECT / "inventory.yaml")
    more = resized.resized(original, "puller", 5, tmp_path)
    resized.write(more)
    again = load(more.path)
    assert again.machines == more.machines
    assert (again.digest, again.settings) == (more.digest, original.settings)
    assert {machine.name: machine.address for machine in again.with_role("puller")} == {
        f"pull-{k}": f"192.168.0.{161 + k}" for k in range(1, 6)
    }
    fewer = resized.resized(original, "puller", 1, tmp_path)
    assert [machine.name for machine in fewer.machines] == ["push", "pull-1"]


def test_a_resized_inventory_stays_in_its_network(tmp_path: Path) -> None:
    original = load(PROJECT / "inventory.yaml")
    full = resized.resized(original, "puller", 253, tmp_path)
    assert len({machine.address for machine in full.machines}) == 254
    with pytest.raises(LabError, match="has no addresses for 254 machines"):
        resized.resized(original, "puller", 254, tmp_path)
    with pytest.raises(LabError, match="at most"):
        resized.resized(original, "puller", 100_000, tmp_path)


def recorded(name: str) -> StoredRun:
    """Return a recorded run with its verdicts."""
    stored = load_run(LEAVING / f"ways_to_leave.{name}")
    return replace(stored, verdicts=judge(stored, catalogue.load("ways_to_leave"), partial=False))


def made(every: Sequence[Cell]) -> list[CampaignRun]:
    """Return recorded runs as those of a campaign, two for each combination."""
    runs = [recorded(name) for name in ("kill", "pause")]
    return [campaign_files.measured(cell, run) for cell in every for run in runs]


EVERY = [Cell("", (("interval", "0.1"),)), Cell("", (("interval", "<b>"),)), Cell("none")]


def test_the_tables_have_each_run_and_each_claim() -> None:
    runs = made(EVERY[:2])
    rows = list(csv.DictReader(io.StringIO(csv_of(run_rows(runs)))))
    assert [row["never"] for row in rows] == ["0", "16"] * 2
    assert {row["recovery_s"] for row in rows} == {""}
    tallies = tallies_of(EVERY, runs)
    assert list(tallies) == EVERY[:2]  # without runs there is nothing to say
    claims = claim_rows(tallies, anytime=False)
    wire = next(row for row in claims if row["claim"].endswith("wire_tells_the_same"))
    assert wire["never_exercised"] == (wire["runs"] == 0)


def test_the_page_shows_what_was_counted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    campaign_files.write(tmp_path, "sweep-1", "./fab sweep", EVERY, made(EVERY[:2]))
    page = (tmp_path / "sweep-1.html").read_text()
    assert "4 runs of 2 combinations" in page
    assert "interval=&lt;b&gt;" in page
    assert "<b>" not in page.partition("<main")[2].partition("</style>")[2]
    assert "16 (0 to 16)" in page or "8 (0 to 16)" in page
    assert (tmp_path / "sweep-1.claims.svg").read_text().startswith("<svg")
    assert (tmp_path / "sweep-1.figures.svg").read_text().startswith("<svg")
    said = capsys.readouterr().out
    assert f"page:    {tmp_path}/sweep-1.html" in said
    if importlib.util.find_spec("polars") is None:
        assert "parquet: not written, as Polars is not installed" in said
    else:
        assert (tmp_path / "sweep-1.parquet").exists()


def test_a_claim_that_never_came_up_is_said_to_be_so() -> None:
    runs = made(EVERY[:1])
    for _, run, _ in runs:
        for verdict in run.verdicts or ():
            verdict["verdict"] = "not observed"
    tallies = tallies_of(EVERY[:1], runs)
    claims = claim_rows(tallies, anytime=False)
    campaign = campaign_page.Campaign(
        name="n", command="c", runs=runs, tallies=tallies, claims=claims, anytime=False
    )
    assert {row["never_exercised"] for row in claims} == {True}
    assert campaign_page.page(campaign).count(">never exercised<") == len(claims)
    assert "never exercised" in campaign_page.plots(campaign)["claims"]
