"""What a page says was sent from where to where: only what was observed."""

from pathlib import Path
from typing import Any

import pytest
from made_runs import MadeRun, with_a_loss

from lab import catalogue, runs
from lab.compare import side_by_side
from lab.reading import lines, nothing
from lab.report import logs, page, pictures
from lab.report.kit import kit
from lab.report.setup import setup

Spoken = tuple[str, bytes]  # a machine and its line


def printed(root: Path, *spoken: Spoken) -> Path:
    run = MadeRun(root, count=3)
    run.begin()
    for k, (machine, line) in enumerate(spoken):
        run.printed(0.2 + k / 10, machine, line)
    return run.end(2.0)


def test_push_and_pull(tmp_path: Path) -> None:
    stored = runs.load(with_a_loss(tmp_path))
    found = pictures.flow_of(stored, catalogue.reader(stored))
    assert setup(stored, found) == (
        "push sent 12 messages to pull-1 and pull-2, about one every 100 ms."
        " 11 came, 1 was lost, 1 came late."
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
            "pull-1 sent 2 of the 3 messages that were planned, about one every 200 ms."
            " 2 came back, none was lost.",
        ),
        (
            [("push", b"0"), ("push", b"1"), ("push", b"2"), ("push", b"3")],
            {"sent": {"push": r"(\d+)"}},
            "push sent 4 messages to pull-1 and pull-2, about one every 100 ms."
            " None came, 4 were lost.",
        ),
        (
            [("pull-1", b"0"), ("pull-2", b"0")],
            {"received": {"pull": r"(\d+)"}},
            "pull-1 and pull-2 printed 2 messages; who sent them, nothing tells.",
        ),
        (
            [("pull-1", b"hello")],
            {},
            "pull-1, pull-2 and push printed 1 line, none of which speaks of a message.",
        ),
    ],
)
def test_other_programs(spoken: Any, reads: Any, said: str, tmp_path: Path) -> None:
    reader = lines(**reads) if reads else nothing
    stored = runs.load(printed(tmp_path, *spoken))
    assert setup(stored, pictures.flow_of(stored, reader)) == said


def test_where_nothing_was_sent_there_are_no_pictures_of_it_and_no_alarms(tmp_path: Path) -> None:
    stored = runs.load(printed(tmp_path, ("pull-1", b"0"), ("pull-2", b"0"), ("pull-1", b"1")))
    reader = lines(received={"pull": r"(\d+)"})
    found, compared = pictures.flow_of(stored, reader), side_by_side(stored, reader)
    assert not compared.sends
    assert set(logs.columns(compared.rows, [], found)["note"]) == {""}
    assert {p.fate for p in found.passages} == {"came"}
    html = page.page(stored, nothing, kit())
    for name in ("strip", "shares", "latency"):
        assert f'id="{name}"' not in html
    assert 'id="timeline"' in html
