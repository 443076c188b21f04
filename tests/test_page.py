"""What a page says about a run as a whole: only what was observed, and what spoils it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_runs import MadeRun, with_a_loss

from pushpull.analysis.history import Run
from pushpull.analysis.line_readers import lines, nothing
from pushpull.analysis.side_by_side import side_by_side
from pushpull.analysis.timeline import timeline
from pushpull.cli import show
from pushpull.core.records import Reader, Record
from pushpull.experiments import catalogue
from pushpull.report import chart_data, docs_charts, page, page_logs
from pushpull.report.setup import setup
from pushpull.report.vega_bundle import kit
from pushpull.runs import lines as lines_module
from pushpull.runs import store
from pushpull.runs.directory import describe
from pushpull.runs.store import StoredRun

Spoken = tuple[str, bytes]  # a machine and its line


def printed(root: Path, *spoken: Spoken) -> Path:
    run = MadeRun(root, count=3)
    run.begin()
    for k, (machine, line) in enumerate(spoken):
        run.printed(0.2 + k / 10, machine, line)
    return run.end(2.0)


def test_push_and_pull(tmp_path: Path) -> None:
    stored = store.load(with_a_loss(tmp_path))
    found = docs_charts.timeline_of(stored, catalogue.reader(stored))
    assert setup(stored, found) == (
        "push sent 12 messages to pull-1 and pull-2, about one every 100 ms."
        " 11 arrived, 1 was lost, 1 arrived late."
    )


ASKED: list[Spoken] = [
    ("pull-1", b"ask 0"),
    ("pull-1", b"reply to 0"),
    ("pull-1", b"ask 1"),
    ("pull-1", b"reply to 1"),
]


@pytest.mark.parametrize(
    ("spoken", "reads", "said"),
    [
        (
            ASKED,
            {"sent": {"pull": r"ask (\d+)"}, "received": {"pull": r"reply to (\d+)"}},
            "pull-1 sent 2 of the 3 messages planned, about one every 200 ms."
            " 2 came back, none was lost.",
        ),
        (
            [("push", b"0"), ("push", b"1"), ("push", b"2"), ("push", b"3")],
            {"sent": {"push": r"(\d+)"}},
            "push sent 4 messages to pull-1 and pull-2, about one every 100 ms."
            " None arrived, 4 were lost.",
        ),
        (
            [("pull-1", b"0"), ("pull-2", b"0")],
            {"received": {"pull": r"(\d+)"}},
            "pull-1 and pull-2 printed 2 messages; no program reported sending them.",
        ),
        (
            [("pull-1", b"hello")],
            {},
            "pull-1, pull-2 and push printed 1 line, none of them about a message.",
        ),
    ],
)
def test_other_programs(spoken: Any, reads: Any, said: str, tmp_path: Path) -> None:
    reader = lines(**reads) if reads else nothing
    stored = store.load(printed(tmp_path, *spoken))
    assert setup(stored, docs_charts.timeline_of(stored, reader)) == said


@pytest.mark.parametrize("one_by_one", [2000, 1])
def test_if_nothing_was_sent_there_are_no_charts_and_no_alarms(
    one_by_one: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart_data, "_MOST_CELLS", one_by_one)
    stored = store.load(printed(tmp_path, ("pull-1", b"0"), ("pull-2", b"0"), ("pull-1", b"1")))
    reader = lines(received={"pull": r"(\d+)"})
    found = docs_charts.timeline_of(stored, reader)
    assert not side_by_side(stored, reader).sends
    assert set(columns_of(stored, reader)["note"]) == {""}
    assert {p.fate for p in found.deliveries} == {"arrived"}
    assert 'id="shares"' in page.page(stored, reader, kit())
    html = page.page(stored, nothing, kit())
    for name in ("strip", "shares", "latency"):
        assert f'id="{name}"' not in html
    assert 'id="timeline"' in html


def test_the_page_shows_both_ends_of_very_long_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_logs, "EACH_END", 2)
    run = MadeRun(tmp_path, count=1)
    run.begin()
    for k in range(9):
        run.printed(0.2 + k / 10, "pull-1", b"line %d" % k)
        run.printed(0.2 + k / 10, "pull-2", b"said %d" % k, "stderr")
    run.printed(1.1, "push", b"0")
    run.printed(1.2, "pull-1", b"0 , 1.5")
    stored = store.load(run.end(2.0))
    html = page.page(stored, catalogue.reader(stored), kit())
    rows = json.loads(html.partition('id="data">')[2].partition("</script>")[0])["rows"]
    shown = [text for text in rows["text"] if text]
    assert [text for text in shown if text.startswith("line")] == [
        f"line {k}" for k in (0, 1, 7, 8)
    ]
    assert [text for text in shown if "said" in text] == [f"stderr: said {k}" for k in (0, 1, 7, 8)]
    assert "0" in shown  # messages are kept
    left_out = [told for told in rows["event"] if "left out" in told]
    assert left_out == [
        "5 lines left out: see pull-1/pull.log",
        "5 lines left out: see pull-2/pull.err",
    ]
    assert "the page shows the first and the last 2" in html


def test_what_spoils_a_whole_run_is_at_the_top(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_a_loss(tmp_path)
    late = {"machines_late_s": {"pull-1": 3.0}, "harness_late_s": 0.0, "suspended_s": 0.0}
    disturbance = {**late, "limit_s": 0.5, "disturbed": True}
    told = {"cut": "Ctrl-C <b>ended</b> it.", "disturbance": disturbance}
    describe(path, store.load(path).description | told)
    stored = store.load(path)
    html = page.page(stored, catalogue.reader(stored), kit())
    head = html.partition("<header>")[2].partition("</header>")[0]
    assert "Ctrl-C &lt;b&gt;ended&lt;/b&gt; it." in head
    assert "pull-1 stalled for 3.0 s" in head
    show.report(path.parent, path.name, again=True)
    said = " ".join(capsys.readouterr().out.split())
    assert "! Ctrl-C <b>ended</b> it." in said
    assert "! Disturbed: pull-1 stalled for 3.0 s" in said


def test_the_page_shows_what_a_claim_rests_on_and_what_disputes_it(tmp_path: Path) -> None:
    stored = store.load(with_a_loss(tmp_path))
    verdicts = [
        {**v, "rests_on": "src/lb.cpp, <1>", "disputed_by": "a manual"}
        for v in stored.verdicts or ()
    ]
    html = page.page(replace(stored, verdicts=verdicts), catalogue.reader(stored), kit())
    assert "<dt>rests on</dt><dd>src/lb.cpp, &lt;1&gt;</dd>" in html
    assert "<dt>disputed by</dt><dd>a manual</dd>" in html


def test_the_middle_of_a_long_log_without_messages_is_never_made_into_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first and last lines are shown, and how many lie between, as where all are rows."""
    run = MadeRun(tmp_path)
    run.begin()
    for k in range(50):
        said = b"\n".join(b"line %d" % n for n in range(100 * k, 100 * k + 100))
        run.printed(0.2 + k, "pull-1", said)
        run.printed(0.2 + k, "pull-2", said, "stderr")
    path = run.end(60)
    stored = store.load(path)
    reader = lines(received={"count": r"(\d+)"})
    made = []
    monkeypatch.setattr(
        lines_module, "Record", lambda **given: made.append(given) or Record(**given)
    )
    shown = columns_of(stored, reader)
    assert len(made) < 5000
    whole = columns_of(replace(stored, records=tuple(stored.records)), reader)
    assert shown == whole
    gap = 5000 - 2 * page_logs.EACH_END
    assert f"{gap:,} lines left out: see pull-1/pull.log" in shown["event"]
    assert f"{gap:,} lines left out: see pull-2/pull.err" in shown["event"]


def columns_of(stored: StoredRun, reader: Reader) -> dict[str, Any]:
    run = Run(stored, reader)
    return page_logs.columns(stored, run, timeline(stored, run))
