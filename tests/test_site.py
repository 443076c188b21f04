"""The site of the docs: built strictly, read without the net, and by keyboard."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page

PROJECT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "docs", "-b", "html", ".", folder],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def page(chromium: BrowserContext) -> Page:
    opened = chromium.new_page()
    opened.set_default_timeout(10_000)
    return opened


def test_it_asks_the_net_for_nothing(site: Path, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name in ("README", "docs/library", "docs/site/api", "docs/site/index"):
        page.goto(f"file://{site}/{name}.html")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_it_is_searched(site: Path, page: Page) -> None:
    page.goto(f"file://{site}/search.html?q=partition")
    page.get_by_role("link", name="Faults and repairs").first.wait_for()


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(site: Path, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for path in sorted(site.glob("docs/*.html")):
        page.goto(f"file://{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_a_page_is_reached_by_keyboard_alone(site: Path, page: Page) -> None:
    page.goto(f"file://{site}/docs/site/index.html")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "In Python and in pytest":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/library.html")
