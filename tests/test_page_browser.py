"""The page of a run in a real browser, opened from the disk as a user would."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from made_runs import MadeRun, of_many, with_a_loss, with_values
from playwright.sync_api import BrowserContext, Page, expect

from pushpull.experiments import catalogue
from pushpull.report import page as pages
from pushpull.runs import store
from pushpull.runs.directory import describe

pytestmark = pytest.mark.slow

DRAWN = "html[data-drawn=yes]"
LOST = "#timeline line[stroke-dasharray='5,3']"


@dataclass
class Seen:
    """A page that is open, and what it said or asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def open(self, run: Path, anchor: str = "") -> Page:
        self.page.goto(pages.make(run, catalogue.reader).as_uri() + anchor)
        expect(self.page.locator(DRAWN)).to_be_attached()
        return self.page


@pytest.fixture
def seen(chromium: BrowserContext) -> Iterator[Seen]:
    page = chromium.new_page()
    page.set_viewport_size({"width": 1280, "height": 900})
    seen = Seen(page)
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("dialog", lambda dialog: seen.complaints.append(dialog.message))
    page.on("request", lambda r: seen.complaints.append(r.url) if _outside(r.url) else None)
    yield seen
    page.close()
    assert seen.complaints == []


def _outside(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_a_loss(tmp_path_factory.mktemp("runs"))


def test_it_opens_from_the_disk_and_is_small(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    expect(page.locator("h1")).to_contain_text("One of the pullers is killed midway")
    assert (lossy / "report.html").stat().st_size <= 1_200_000


def test_failures_come_first(seen: Seen, lossy: Path) -> None:
    kinds = seen.open(lossy).locator("article.verdict .badge").all_inner_texts()
    assert [kind.split()[1] for kind in kinds] == ["holds", "holds", "holds"]


def test_an_evidence_link_leads_to_the_message(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    page.locator("article.verdict a", has_text=re.compile(r"^8$")).first.press("Enter")
    expect(page.locator("#story")).to_contain_text("Message 8: push sent it at 1.000 s")
    expect(page.locator("#story")).to_contain_text("only pull-2 was connected")
    expect(page.locator("#story")).to_contain_text("pull on pull-1 was killed")
    expect(page.locator("#log tr.chosen")).to_contain_text("8 , ")
    expect(page.locator("#timeline")).to_be_in_viewport()


def test_the_most_interesting_message_is_shown_first(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    expect(page.locator("#number")).to_have_value("5")
    expect(page.locator("#story")).to_contain_text("lost: no machine printed it")


def test_a_lost_message_is_a_line_that_ends_nowhere(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    expect(page.locator(LOST)).to_have_count(1)
    lanes = _lanes(page)
    end = page.locator(LOST).bounding_box()
    assert end is not None
    assert lanes["push"] < end["y"] + end["height"] < lanes["pull-1"]


def test_the_story_of_a_message_that_was_held_up(seen: Seen, tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=1)
    run.begin()
    run.happened(0.2, "fault", "pull-1", fault="pause", verified=True, took_s=0.0)
    run.sent(0.3, 0)
    run.happened(0.7, "repair", "pull-1", repair="resume")
    run.got(0.8, 0, "pull-1")
    page = seen.open(run.end(1.0), "#message-0")
    expect(page.locator("#story")).to_contain_text(
        "Message 0: push sent it at 0.300 s, pull-1 received it only 500 ms later."
        " When it was sent, pull-1 and pull-2 were connected."
        " 100 ms before, pull on pull-1 was paused. 400 ms after, pull on pull-1 was resumed."
    )


def test_a_late_message_is_drawn_slanted(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    late = page.locator("#timeline line[stroke-width='3']")
    expect(late).to_have_count(1)
    box = late.bounding_box()
    assert box is not None
    assert box["width"] > 100


def test_the_strip_has_a_mark_for_each_message(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    cells = page.locator("#strip [aria-roledescription='rect mark']")
    expect(cells).to_have_count(12)
    expect(page.locator("#strip [aria-label^='message 5,']")).to_have_count(1)
    expect(page.locator("#strip")).to_contain_text("nobody")


def test_hovering_describes_a_message(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    page.locator("#timeline [aria-label^='message 3:']").hover()
    expect(page.locator("#vg-tooltip-element")).to_contain_text("push sent it at 0.500 s")


def test_clicking_a_message_shows_its_story(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    page.locator("#timeline [aria-label^='message 3:']").click()
    expect(page.locator("#story")).to_contain_text("Message 3: push sent it at 0.500 s")
    assert page.url.endswith("#message-3")


def test_zoom_by_button_and_by_wheel(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    expect(page.locator("#drawn")).to_contain_text("12 messages in this window")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#drawn")).not_to_contain_text("12 messages in this window")
    page.get_by_role("button", name="The whole run").click()
    expect(page.locator("#drawn")).to_contain_text("12 messages in this window")
    page.locator("#timeline svg").first.hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -600)
    page.keyboard.up("Control")
    expect(page.locator("#drawn")).not_to_contain_text("12 messages in this window")


def test_the_logs_are_searched(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    expect(page.locator("#found")).to_have_text("13 rows")
    page.locator("#search").fill("was killed")
    expect(page.locator("#found")).to_have_text("1 row")
    page.locator("#search").fill("nothing like that")
    expect(page.locator("#found")).to_have_text("0 rows")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits(seen: Seen, lossy: Path, width: int, scheme: Any) -> None:
    seen.page.set_viewport_size({"width": width, "height": 900})
    seen.page.emulate_media(color_scheme=scheme)
    page = seen.open(lossy)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    label = page.locator("#timeline text", has_text="pull-1: killed").bounding_box()
    chart = page.locator("#timeline svg").first.bounding_box()
    assert label is not None
    assert chart is not None
    assert chart["x"] <= label["x"] <= label["x"] + label["width"] <= chart["x"] + chart["width"]
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 27)"}[scheme]


def test_charts_have_text_for_screen_readers(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    for name in ("timeline", "strip", "shares", "latency"):
        chart = page.locator(f"#{name} [role='graphics-document']").first
        expect(chart).to_have_attribute("aria-label", re.compile(r"\w+ \w+"))
    for button in page.locator("button, summary").all():
        assert button.inner_text().strip() or button.get_attribute("aria-label")


def test_the_keyboard_is_enough(seen: Seen, lossy: Path) -> None:
    page = seen.open(lossy)
    page.keyboard.press("Tab")
    expect(page.locator(".skip").first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # to the zoom buttons
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.zoom") == "in"
    page.locator(".skip").first.focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"8", "Zoom in", "The whole run"} <= reached
    page.get_by_role("button", name="Zoom in").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#drawn")).not_to_contain_text("12 messages in this window")
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#story")).to_contain_text("Message 6: ")


def test_a_number_that_occurs_twice_is_visited_one_by_one(seen: Seen, tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=2)
    run.begin()
    for k, number in enumerate([0, 0, 1, 1]):
        run.sent(0.2 + k / 10, number)
        run.got(0.21 + k / 10, number, f"pull-{1 + k % 2}")
    page = seen.open(run.end(1.0), "#message-0")
    rows = page.locator("#log tr.message")
    chosen = page.locator("#log tr.chosen")
    for k in range(4):
        expect(chosen).to_have_count(1)
        expect(rows.nth(k)).to_have_class(re.compile("chosen"))
        if k < 3:
            page.locator("#next").click()
    expect(page.locator("#next")).to_be_disabled()
    page.locator("#previous").click()
    expect(rows.nth(2)).to_have_class(re.compile("chosen"))
    rows.nth(1).click()
    expect(rows.nth(1)).to_have_class(re.compile("chosen"))
    assert page.url.endswith("#message-0-2")
    page.go_back()
    expect(rows.nth(2)).to_have_class(re.compile("chosen"))


def test_the_page_says_how_wrong_times_may_be(seen: Seen, tmp_path: Path) -> None:
    run = with_a_loss(tmp_path)
    clocks = {"pull-1": {"offset_s": 0.5, "uncertainty_s": 0.002}}
    describe(run, store.load(run).description | {"clocks": clocks})
    page = seen.open(run)
    expect(page.locator("main")).to_contain_text(
        "between two machines they may still be wrong by 4 ms"
    )
    expect(page.locator("main")).to_contain_text("0.500000 s ± 0.002000 s")


HOSTILE = (
    b"<script>alert(1)</script><img src=x onerror=alert(2)>",
    b"</script><script>alert(3)</script><!--<script>",
    b"\x1b[2J\x1b]0;owned\x07\x00",
    b"seen by nobody\r\x1b]0;after a carriage return\x07",
    "left \u202egnikool-thgir\u2066".encode(),
    b"\xff\xfe not UTF-8",
    b"{{ 7 * 7 }} {% raw %} ${alert(4)} &lt;b&gt;",
    b"x" * 10_000_000,
)


def test_a_hostile_log_does_nothing(seen: Seen, tmp_path: Path) -> None:
    run = MadeRun(tmp_path, count=1)
    run.begin()
    run.sent(0.2, 0)
    run.got(0.21, 0, "pull-1")
    for k, line in enumerate(HOSTILE):
        run.printed(0.3 + k / 10, "pull-2", line)
        run.printed(0.3 + k / 10, "pull-1", line, "stderr")
    path = run.end(2.0)
    page = seen.open(path)
    text = page.locator("#log").inner_text()
    assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in text
    assert r"\x1b[2J\x1b]0;owned\x07\x00" in text
    assert r"\x1b]0;after a carriage return\x07" in text
    assert r"left \u202egnikool-thgir\u2066" in text
    assert "{{ 7 * 7 }}" in text
    assert "(a line of 10,000,000 bytes: the log has it)" in text
    assert page.locator("#log img, #log script").count() == 0
    assert (path / "report.html").stat().st_size <= 1_200_000


def test_a_run_that_printed_nothing(seen: Seen, tmp_path: Path) -> None:
    page = seen.open(MadeRun(tmp_path, count=1).end(0.1))
    expect(page.locator("#drawn")).to_contain_text("0 messages")


HOSTILE_NAME = "</script><img src=x onerror=alert(1)>\x1b\u202e_ms"


def test_values_of_any_name_and_size_are_drawn(seen: Seen, tmp_path: Path) -> None:
    values = {HOSTILE_NAME: [1e308, -1e308, 3.0, None, 0.1] * 10, "depth": list(range(2500))}
    run = with_values(tmp_path / "runs", {**values, "nothing": [None]})
    page = seen.open(run)
    rows = page.locator("table.values tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("<img src=x onerror=alert(1)>\\x1b\\u202e_ms")
    expect(rows.nth(0)).to_contain_text("2,500")
    for chart in ("values-1", "quantiles-1", "values-2", "quantiles-2"):
        expect(page.locator(f"#{chart} svg.marks")).to_be_visible()
        assert "NaN" not in page.locator(f"#{chart} svg.marks").inner_html()
    expect(page.locator("section", has=page.locator("#h-values"))).to_contain_text(
        "10 values that are infinite or not a number are not drawn."
    )
    expect(page.locator("#values-3")).to_have_count(0)
    sizes: list[tuple[int, Any]] = [(360, "screen"), (680, "print")]  # a phone, and A4 paper
    for width, media in sizes:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(media=media)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.timeout(600)
def test_very_many_messages(seen: Seen, tmp_path: Path) -> None:
    run = of_many(tmp_path, 100_000)
    page = seen.open(run)
    assert (run / "report.html").stat().st_size <= 12_000_000
    expect(page.locator("#drawn")).to_contain_text("messages in this window are drawn")
    for name in ("pull-1", "pull-2"):  # a part is drawn, but not always the same machine's
        drawn = page.locator(f"#timeline line[aria-label*=', {name} received it']").count()
        assert drawn > 100
    page.locator("#number").fill("77777")
    page.locator("#number").press("Enter")
    expect(page.locator("#log tr.chosen")).to_contain_text("77777 , ")
    for _ in range(12):
        page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#drawn")).to_contain_text("each of them drawn")


def _lanes(page: Page) -> dict[str, float]:
    boxes = {}
    for name in ("push", "pull-1", "pull-2"):
        box = page.locator("#timeline text", has_text=re.compile(f"^{name}$")).first.bounding_box()
        assert box is not None
        boxes[name] = box["y"]
    return boxes
