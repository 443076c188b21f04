"""The page of a run of very many messages: how long it takes to make, and to use in a browser."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from playwright.sync_api import Page

from benchmarks.frame import Benchmark, Contender, ContenderError, Figure, timed
from pushpull.experiments import catalogue
from pushpull.report import page as pages
from tests import browser, debian, made_runs

_MESSAGES = 100_000
_USED = 5  # times in a turn
_MAKE, _SIZE, _OPEN = "make it", "its size", "open it, until all is drawn"


def benchmarks() -> Iterator[Benchmark]:
    """Give the benchmarks of this part."""
    yield Benchmark(
        name="page",
        title=f"The page of {_MESSAGES:,} messages, in Chromium",
        figures=[
            Figure(name=_MAKE, brief=True),
            Figure(name=_SIZE, text="{:.1f} MB"),
            Figure(name=_OPEN, brief=True),
            *(Figure(name=act) for act in _ACTS),
        ],
        contenders=_contenders,
    )


@contextlib.contextmanager
def _contenders() -> Iterator[Sequence[Contender]]:
    with tempfile.TemporaryDirectory() as folder:
        run = made_runs.of_many(Path(folder), _MESSAGES)
        pages.make(run, catalogue.reader)  # so that the plotting library is cached
        yield [Contender(name="the lab", turn=lambda: _made(run) | _used(run))]


def _made(run: Path) -> dict[str, float]:
    start = time.perf_counter()
    file = pages.make(run, catalogue.reader)
    return {_MAKE: time.perf_counter() - start, _SIZE: file.stat().st_size / 1e6}


def _used(run: Path) -> dict[str, float]:
    """Use its page, in a window of 1280 x 900; return the seconds of each act."""
    try:
        binary = Path(shutil.which("chromium") or debian.unpacked() / "bin/chromium")
    except debian.UnavailableError as error:
        raise ContenderError(f"there is no Chromium: {error}") from error
    with tempfile.TemporaryDirectory() as folder, browser.chromium(binary, Path(folder)) as context:
        page = context.new_page()
        page.set_viewport_size({"width": 1280, "height": 900})
        opened = timed(lambda: _open(page, run / "report.html"))
        times = [_acted(page) for _ in range(_USED)]
        return {_OPEN: opened} | {name: median(turn[name] for turn in times) for name in _ACTS}


def _acted(page: Page) -> dict[str, float]:
    return {name: timed(lambda: act(page)) for name, act in _ACTS.items()}  # noqa: B023  # at once


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


_ACTS: Mapping[str, Callable[[Page], None]] = {
    "zoom in, to the picture": lambda page: _press(page, "Zoom in"),
    "zoom out again": lambda page: _press(page, "Zoom out"),
    "ask for a message, and for another": lambda page: _ask(page, _MESSAGES // 2),
    "hover over a message, to its words": _hover,
    "search the logs, and show all again": lambda page: _search(page, str(_MESSAGES // 3)),
}
