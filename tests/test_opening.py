"""Pictures of runs of their own: what the README opens with, and the matrix, in a browser.

`pytest tests/test_opening.py --pictures docs/pictures` puts both into the docs.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import screen
from playwright.sync_api import BrowserContext, expect
from rich.text import Text

from pushpull.experiments import implementations
from pushpull.machines import installer
from pushpull.runs import store

pytestmark = pytest.mark.slow

# For the picture in the docs. To a test two columns and one experiment show as much.
COMPARED = ("leaving_the_turn", "heartbeat", "ways_to_leave:pause", "kill_worker")
COLUMNS = ("pyzmq", "perl", "pynng", "zeromq_js", "zmq_rs", "pyzmq+pyzmq@16.0.4")
FLAGS = ["--experiment", "kill_worker", "--interval", "0.1", "--count", "20"]


@dataclass(frozen=True)
class Opening:
    """A run, and the rows of the terminal when the foot of the view was last seen."""

    path: Path
    rows: list[Text]


@pytest.fixture(scope="module")
def opening(tmp_path_factory: pytest.TempPathFactory) -> Opening:
    root = tmp_path_factory.mktemp("opening")
    command = [sys.executable, "-m", "pushpull", "run-experiment", *FLAGS, "--runs", str(root)]
    shown = screen.watched(command, columns=96, lines=36)
    *_, last = filter(_is_live, shown)
    return Opening(store.find(root, None), last)


def _is_live(rows: list[Text]) -> bool:
    """The heads of the columns stay at the end; the bar is gone then."""
    said = "\n".join(row.plain for row in rows)
    return "push (" in said and ("s left" in said or "finishing" in said)


def test_the_live_view(opening: Opening, pictures: Path) -> None:
    rows = [row.plain for row in opening.rows]
    (rule,) = (row for row in rows if row.startswith("── "))
    assert "was killed, " in rule
    assert " after it printed '" in rule
    names, states, bar = [row for row in rows if row.strip()][-3:]
    assert all(name in names for name in ("push (", "pull-1 (", "pull-2 ("))
    assert "pull: killed" in states
    assert "s left" in bar or "finishing" in bar
    svg = screen.picture(opening.rows, "./fab run-experiment --experiment kill_worker")
    assert "url(" not in svg.replace("url(#", "")
    (pictures / "live.svg").write_text(svg)


@pytest.mark.timeout(300)
def test_the_matrix(
    request: pytest.FixtureRequest, chromium: BrowserContext, pictures: Path, tmp_path: Path
) -> None:
    """Some of those that are installed here, and old receivers with a new sender."""
    titles = [title for title in COLUMNS if _is_installed(title.rpartition("+")[2])]
    compared = COMPARED
    if not request.config.getoption("--pictures"):
        titles, compared = titles[:2], COMPARED[:1]
    command = [sys.executable, "-m", "pushpull", "matrix", "--implementations", ",".join(titles)]
    command += ["--experiments", ",".join(compared), "--repeat", "1", "--runs", str(tmp_path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    found = re.search(r"the others keep their order\. +✗ 0/1 +✓ 1/1", done.stdout)
    assert found, done.stdout + done.stderr
    page = chromium.new_page()
    page.set_viewport_size({"width": 1400, "height": 1500})
    page.goto((tmp_path / "matrix.html").as_uri())
    expect(page.locator(".difference", has_text="the others keep their order")).to_be_visible()
    page.screenshot(path=pictures / "matrix.png")


def _is_installed(title: str) -> bool:
    one = implementations.get(title)
    return not one.installation.packages or installer.is_installed(one.installation)


def test_the_page(opening: Opening, chromium: BrowserContext, pictures: Path) -> None:
    page = chromium.new_page()
    page.set_viewport_size({"width": 1100, "height": 1390})
    page.goto((opening.path / "report.html").as_uri())
    expect(page.locator("html[data-drawn=yes]")).to_be_attached()
    expect(page.locator("#timeline svg").first).to_be_in_viewport()
    page.screenshot(path=pictures / "page.png")
