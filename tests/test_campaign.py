"""Campaigns of many runs: how many labs at once, resized inventories, tables and the page."""

import csv
import importlib.util
import io
import json
import math
import os
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from command import PROJECT
from made_runs import with_a_loss
from story import LEAVING

from pushpull.analysis.campaign import CampaignRun, Cell, claim_rows, csv_of, run_rows, tallies_of
from pushpull.cli import campaign_files
from pushpull.cli.capacity import Capacity, Processors
from pushpull.core.errors import LabError
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.machines.inventory import load, resized
from pushpull.report import campaign_page, page
from pushpull.runs.store import StoredRun
from pushpull.runs.store import load as load_run

# How busy the processors were while a run lasted.
IDLE, HALF, FULL = 0.2, 0.5, 0.95


def after(capacity: Capacity, shares: Sequence[float], late_s: float = 0.0) -> list[int]:
    """Return the numbers of labs after each of these runs."""
    numbers = []
    for busy in shares:
        capacity.note(busy, late_s)
        numbers.append(capacity.labs)
    return numbers


def test_as_many_labs_as_keep_the_processors_busy() -> None:
    capacity = Capacity(2, 64)
    assert after(capacity, [IDLE]) == [4]  # twice as many at most
    assert after(capacity, [IDLE, HALF]) == [4, 7]  # the first began when there were two
    assert after(capacity, [IDLE] * 3 + [FULL] * 9) == [7] * 12
    assert after(Capacity(2, 3), [IDLE] * 3) == [3, 3, 3]  # memory for three


def test_half_as_many_labs_when_a_run_is_late() -> None:
    capacity = Capacity(8, 64)
    assert after(capacity, [IDLE], late_s=0.3) == [4]
    assert after(capacity, [IDLE] * 7, late_s=0.3) == [4] * 7  # they began when there were eight
    assert after(capacity, [IDLE] * 5) == [5, 5, 5, 5, 6]  # from now on one more at a time
    assert after(capacity, [FULL] * 7, late_s=0.3) == [6, 6, 6, 6, 3, 3, 3]
    assert after(Capacity(1, 64), [FULL, FULL], late_s=0.3) == [1, 1]


def test_a_number_that_the_user_gave_stays() -> None:
    assert after(Capacity.fixed(3), [IDLE, FULL, IDLE]) == [3, 3, 3]
    assert after(Capacity.fixed(3), [FULL], late_s=0.3) == [3]


@pytest.mark.parametrize("others", [0.0, 0.3])
def test_the_number_settles_where_the_computer_is_full(others: float) -> None:
    """Each lab takes a tenth of it, more or less."""
    capacity, seen = Capacity(2, 64), []
    chance = random.Random(3)
    for _ in range(400):
        busy = others + capacity.labs * chance.uniform(0.09, 0.11)
        capacity.note(min(1.0, busy), 0.0)
        seen.append(capacity.labs)
    assert all(7 <= labs + 10 * others <= 11 for labs in seen[20:])


def test_how_busy_the_processors_are_is_what_the_kernel_counts(tmp_path: Path) -> None:
    counted = tmp_path / "stat"
    names = [f"cpu{k}" for k in os.sched_getaffinity(0)]

    def write(user: int, idle: int, disk: int) -> None:
        lines = [f"{name} {user} 0 0 {idle} {disk} 0 0 0 9 9" for name in names]
        counted.write_text("\n".join(["cpu 9 9 9 9", *lines, "cpu9999 0 0 0 7 7 0 0 0", "ctxt 1"]))

    write(100, 50, 0)
    processors = Processors(counted)
    write(130, 55, 5)
    assert processors.busy() == 0.75
    counted.unlink()
    assert Processors(counted).busy() == 1
    assert 0 <= Processors().busy() <= 1  # of this kernel


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


@pytest.mark.slow
def test_the_page_shows_what_was_counted(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    runs = made(EVERY[:2])
    own = {"latency_ms median": 1.5, "=latency_ms p99": math.inf}
    runs[0] = (*runs[0][:2], replace(runs[0][2], quantities=own))
    campaign_files.write(tmp_path, "sweep-1", "./fab sweep", EVERY, runs)
    rows = json.loads((tmp_path / "sweep-1.json").read_text())["runs"]
    assert (rows[0]["latency_ms median"], rows[0]["=latency_ms p99"]) == (1.5, None)
    assert "latency_ms median" not in rows[1]
    html = (tmp_path / "sweep-1.html").read_text()
    assert "4 runs of 2 combinations" in html
    assert "interval=&lt;b&gt;" in html
    assert "<b>" not in html.partition("<main")[2].partition("</style>")[2]
    assert "<td>8 (0 to 16)</td>" in html  # lost
    assert "<td>1.5 in 1 of 2 runs</td>" in html
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
    drawn = campaign_page.plots(campaign)
    assert "never exercised" in drawn["claims"]
    assert campaign_page.page(campaign, drawn).count(">never exercised<") == len(claims)


def test_a_runs_own_page_has_its_figures(tmp_path: Path) -> None:
    html = page.make(with_a_loss(tmp_path), catalogue.reader).read_text()
    figures = html.partition("The run in figures")[2].partition("</section>")[0]
    assert "<dt>lost</dt><dd>1</dd>" in figures
    assert "<dt>recovered after</dt>" not in figures  # nothing was repaired
