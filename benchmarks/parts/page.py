"""The page of a run of very many messages: how long it takes to make, and to use in a browser."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from lab.report import page as pages
from lab.runs import store
from tests import browser, debian

MESSAGES = 100_000
_INTERVAL = "0.0001"  # seconds; a sleep takes longer
_REPEATED = 5


def run(root: Path) -> Path:
    """Run it for real; return its directory."""
    command = [sys.executable, "-m", "lab", "run-experiment", "--experiment", "round_robin"]
    command += ["--count", str(MESSAGES), "--interval", _INTERVAL, "--runs", str(root)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return store.find(root, None)


def made(run: Path) -> tuple[float, float]:
    """Make its page, with the plotting library cached; return the seconds and the megabytes."""
    start = time.perf_counter()
    file = pages.make(run)
    return time.perf_counter() - start, file.stat().st_size / 1e6


def used(run: Path) -> Mapping[str, float]:
    """Use its page in Chromium, in a window of 1280 x 900; return the seconds of each act."""
    binary = Path(shutil.which("chromium") or debian.unpacked() / "bin/chromium")
    with tempfile.TemporaryDirectory() as folder, browser.chromium(binary, Path(folder)) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 900})
        acts: dict[str, Callable[[], None]] = {
            "zoom in, to the picture": lambda: _press(page, "Zoom in"),
            "zoom out again": lambda: _press(page, "Zoom out"),
            "ask for a message, and for another": lambda: _ask(page, MESSAGES // 2),
            "hover over a message, to its words": lambda: _hover(page),
            "search the logs, and show all again": lambda: _search(page, str(MESSAGES // 3)),
        }
        opened = _timed(lambda: _open(page, run / "report.html"))
        times = [{name: _timed(act) for name, act in acts.items()} for _ in range(_REPEATED)]
        return {"open it, until all is drawn": opened} | {
            name: median(found[name] for found in times) for name in acts
        }


def _open(page: Page, file: Path) -> None:
    page.goto(file.resolve().as_uri())
    page.wait_for_selector("html[data-drawn=yes]")


def _press(page: Page, button: str) -> None:
    before = page.locator("#drawn").inner_text()
    page.get_by_role("button", name=button).click()
    _changed(page, "drawn", before)


def _ask(page: Page, number: int) -> None:
    for asked in (number, 0):  # so that it is another one the next time
        before = page.locator("#story").inner_text()
        page.locator("#number").fill(str(asked))
        page.locator("#number").press("Enter")
        _changed(page, "story", before)


def _hover(page: Page) -> None:
    page.mouse.move(0, 0)
    mark = page.locator("#timeline [aria-label^='message ']").nth(10)
    mark.scroll_into_view_if_needed()  # waits until it stays where it is
    mark.hover(force=True)
    page.wait_for_selector("#vg-tooltip-element.visible")


def _search(page: Page, text: str) -> None:
    for wanted in (text, ""):
        before = page.locator("#found").inner_text()
        page.locator("#search").fill(wanted)
        _changed(page, "found", before)


def _changed(page: Page, place: str, before: str) -> None:
    """Wait until a text has changed, and the change is painted."""
    changed = f"old => document.getElementById('{place}').textContent !== old"
    page.wait_for_function(changed, arg=before)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def _timed(do: Callable[[], None]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start
