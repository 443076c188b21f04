"""`fab matrix`: what each claim came to with each implementation, on the screen, page and files."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command import fab
from playwright.sync_api import BrowserContext, expect

from pushpull.analysis.matrix import NEVER_RUN, SOME, Answer, Asked, Matrix, Row, Way, answer
from pushpull.analysis.outcome_table import MessageCounts
from pushpull.cli.matrix import code_of, columns
from pushpull.core.errors import ExitCode, LabError
from pushpull.report import matrix_files, matrix_page, matrix_text

ASKED = Asked(
    statement="It is so.", source="s", expected="holds", because="", rests_on="", by_chance=False
)
COUNTS = MessageCounts(
    sent=40, received=24, late=0, never=16, twice=0, first_row=1, noticed_s=None,
    recovery_s=None, backlog_s=None, had_fault=True,
)  # fmt: skip


def came_to(*verdicts: str, **asked: Any) -> Answer:
    """Return the answer of runs with these verdicts, named 0, 1 ... ."""
    found: Sequence[tuple[str, Mapping[str, Any]]] = [
        (str(k), {"verdict": verdict, "why": f"why {k}"}) for k, verdict in enumerate(verdicts)
    ]
    return answer(replace(ASKED, **asked), found)


def row(**answers: Answer) -> Row:
    return Row(title="some:variant", claim="it_is_so", answers=answers)


def made(*rows: Row, ways: tuple[Way, ...] = ()) -> Matrix:
    names = tuple(rows[0].answers)
    return Matrix(
        columns=names, summaries=dict.fromkeys(names, "a <b>library</b>"), rows=rows, ways=ways,
        left_out={"absent": "it is <i>nowhere</i>"}, repeat=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "verdict", "held", "runs", "decides"),
    [
        (["holds", "holds"], "holds", 2, 2, "1"),
        (["refuted"], "refuted", 0, 1, "0"),
        (["holds", "refuted", "holds"], SOME, 2, 3, "1"),
        (["not observed", "holds"], "holds", 1, 1, "1"),
        (["not observed"], "not observed", 0, 0, "0"),
        (["not applicable"], "not applicable", 0, 0, "0"),
        ([], NEVER_RUN, 0, 0, ""),
    ],
)
def test_an_answer(verdicts: list[str], verdict: str, held: int, runs: int, decides: str) -> None:
    found = came_to(*verdicts)
    assert (found.verdict, found.proportion.held, found.proportion.runs) == (verdict, held, runs)
    assert (found.run, found.why) == (decides, f"why {decides}" if decides else "")
    assert found.as_expected == (verdict == "holds")


def test_what_is_not_applicable_is_never_judged() -> None:
    found = came_to("holds", expected="not applicable", because="it has no broker")
    assert (found.verdict, found.why, found.decided) == (
        "not applicable",
        "it has no broker",
        False,
    )


def test_what_differs_is_unlike_most_that_were_decided() -> None:
    holds, refuted, unseen = came_to("holds"), came_to("refuted"), came_to("not observed")
    assert row(a=holds, b=refuted, c=holds, d=unseen).odd == ("b",)
    assert row(a=holds, b=refuted).odd == ("b",)  # the first column stands for the usual
    assert row(a=unseen, b=refuted, c=came_to(expected="not applicable")).odd == ()


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([came_to("holds")], ExitCode.EXPECTED),
        ([came_to("refuted", expected="refuted")], ExitCode.EXPECTED),
        ([came_to("holds"), came_to("refuted")], ExitCode.UNEXPECTED),
        ([came_to("holds", "refuted")], ExitCode.UNEXPECTED),
        ([came_to("not observed")], ExitCode.NOT_OBSERVED),
        ([came_to("not observed", by_chance=True)], ExitCode.EXPECTED),
        ([came_to(expected="not applicable"), came_to("holds")], ExitCode.EXPECTED),
        ([came_to(expected="not applicable")], ExitCode.NOT_OBSERVED),  # no success
        ([came_to()], ExitCode.NOT_OBSERVED),
    ],
)
def test_the_exit_code(answers: list[Answer], code: ExitCode) -> None:
    rows = [row(**{f"i{k}": one}) for k, one in enumerate(answers)]
    assert code_of(rows) == code


def test_the_page_escapes_all_and_links_to_runs() -> None:
    bad = came_to("refuted", statement="<script>alert(1)</script>", because="</style>")
    way = Way(title="leave:kill", counts={"a": [COUNTS], "b": []}, runs={"a": "run-a"})
    html = matrix_page.page(made(row(a=came_to("holds"), b=bad), ways=(way,)))
    assert "<script>alert" not in html
    assert "<b>library</b>" not in html
    assert "<i>nowhere" not in html
    assert 'href="0/report.html"' in html  # the run that decides
    assert "1 not as expected of that implementation" in html
    assert 'href="run-a/report.html"' in html
    assert "16 lost" in html


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 390])
def test_the_page_in_a_browser(chromium: BrowserContext, tmp_path: Path, width: int) -> None:
    """It fits, and by keyboard alone one comes to what differs, and hides the rest."""
    alike = row(**{name: came_to("holds") for name in "abcdefgh"})
    unlike = replace(alike, claim="x", answers={**alike.answers, "c": came_to("refuted")})
    way = Way(title="leave:kill", counts={"a": [COUNTS], "b": []}, runs={"a": "run-a"})
    path = matrix_page.write(made(alike, unlike, ways=(way,)), tmp_path / "matrix.html")
    page = chromium.new_page()
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    rows = page.locator(".claims tbody tr:not(.title)")
    assert rows.count() == 2
    expect(rows.first).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "only":
            break
    page.keyboard.press("Space")
    expect(rows.first).to_be_hidden()
    expect(rows.last).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # over the table, which scrolls, to its first link
    assert page.evaluate("document.activeElement.getAttribute('href')") == "0/report.html"


def test_the_files(tmp_path: Path) -> None:
    way = Way(title="leave:kill", counts={"a": [COUNTS]}, runs={"a": "run-a"})
    matrix = made(row(a=came_to("holds", "holds"), b=came_to("refuted")), ways=(way,))
    claims, ways, whole = matrix_files.write(matrix, tmp_path / "matrix")
    first, second = csv.DictReader(claims.open())
    assert (first["implementation"], first["held"], first["runs"]) == ("a", "2", "2")
    assert 0.34 < float(first["low"]) < 0.35
    assert (second["verdict"], second["differs"], second["run"]) == ("refuted", "True", "0")
    (lost,) = csv.DictReader(ways.open())
    assert (lost["way"], lost["lost"], lost["noticed_s"]) == ("leave:kill", "16", "")
    found = json.loads(whole.read_text())
    assert found["claims"][0]["answers"]["b"]["verdict"] == "refuted"
    assert found["ways"][0]["runs"]["a"][0]["lost"] == 16


def test_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    known = came_to("refuted", expected="refuted", because="that is how it is made")
    matrix_text.print_matrix(made(row(a=came_to("holds"), b=came_to("holds"), c=known)))
    shown = " ".join(capsys.readouterr().out.split())
    assert "c: refuted (0 of 1, 0 to 79 %). why 0" in shown
    assert "as expected: that is how it is made" in shown
    assert "left out: absent: it is <i>nowhere</i>" in shown


def test_the_columns() -> None:
    found = columns(["pyzmq", "perl+pyzmq"])
    assert [str(choice) for choice in found.values()] == ["pyzmq", "sender=perl,receiver=pyzmq"]
    with pytest.raises(LabError, match="there is no implementation 'nobody'"):
        columns(["pyzmq+nobody"])


@pytest.mark.slow
def test_a_matrix_of_runs(tmp_path: Path) -> None:
    flags = ["--experiments", "kill_worker,no_pause", "--repeat", "1"]
    flags += ["--implementations", "pyzmq,plain_python", "--runs", "runs"]
    first = fab("matrix", *flags, cwd=tmp_path)
    assert first.returncode == ExitCode.EXPECTED, first.stdout + first.stderr
    rows = list(csv.DictReader((tmp_path / "runs/matrix.csv").open()))
    verdicts = {(r["experiment"].partition(":")[0], r["implementation"]): r for r in rows}
    assert verdicts["kill_worker", "plain_python"]["verdict"] == "holds"
    lacking = verdicts["no_pause", "plain_python"]
    assert lacking["verdict"] == "not applicable"
    assert "--linger of `push`, which 'plain_python' doesn't have" in lacking["why"]
    html = (tmp_path / "runs/matrix.html").read_text()
    linked = [r["run"] for r in rows if r["run"]]
    assert linked
    assert all(f'href="{run}/report.html"' in html for run in linked)
    assert all((tmp_path / "runs" / run / "report.html").is_file() for run in linked)
    again = fab("matrix", *flags, cwd=tmp_path)
    assert "runs exist already, 0 are missing" in again.stdout
