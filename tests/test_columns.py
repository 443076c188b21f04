"""The live view on a terminal of a given size: a column for each machine, states at the foot."""

import io

import pytest
from rich.console import Console

from pushpull.core.records import Event, Record
from pushpull.report.console import colours
from pushpull.report.live_columns import Columns

MACHINES = ("push", "pull-1", "pull-2")


def _columns(width: int) -> Columns:
    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    return Columns(console, colours(MACHINES))


def _record(machine: str, text: str) -> Record:
    return Record(
        machine=machine, process="pull", stream="stdout", n=0, t=0.0, text=text, offset=0, length=1
    )


def _event(name: str, machine: str, **details: object) -> Event:
    return Event(t=0.0, event=name, machine=machine, process="pull", details=details)


@pytest.mark.parametrize("width", [80, 120, 200, 400])
def test_a_line_stands_in_its_machines_column(width: int) -> None:
    columns = _columns(width)
    places = [columns.row(_record(name, "x" * 500)).plain.index("x") for name in MACHINES]
    assert places[2] - places[1] == places[1] - places[0] == columns.width
    for name in MACHINES:
        assert columns.row(_record(name, "x" * 500)).cell_len < width
    assert all(row.cell_len < width for row in columns.foot())


def test_a_wide_line_is_cut_by_cells_and_harmless() -> None:
    columns = _columns(80)
    for text in ("日本語" * 100, "\x1b[2J\u202e" * 100):
        row = columns.row(_record("pull-2", text))
        assert row.cell_len < 80
        assert "\x1b" not in row.plain
        assert "\u202e" not in row.plain


@pytest.mark.parametrize("width", [1, 10, 40, 56])
def test_a_narrow_terminal_has_lines_instead(width: int) -> None:
    columns = _columns(width)
    assert columns.width == 0
    columns.see(_event("connected", "push"))
    columns.see(_event("fault", "pull-2", fault="kill"))
    assert all(row.cell_len < max(2, width) for row in columns.foot())
    assert columns.foot()[0].plain.startswith("pull-2: killed"[: max(0, width - 2)])


def test_the_status_area_shows_each_machines_state() -> None:
    columns = _columns(120)
    columns.see(_event("ready", "pull-1"))
    columns.see(_event("connected", "pull-2"))
    columns.count("pull-2", 1)
    names, states = (row.plain for row in columns.foot()[1:])
    assert "pull-2 (1 line)" in names
    assert "pull: ready" in states
    assert "pull: 1 connection" in states


def test_a_kill_stays_in_the_status_area_until_it_is_repaired() -> None:
    columns = _columns(120)
    columns.see(_event("connected", "pull-1"))
    columns.see(_event("exit", "pull-1", by="fault"))
    columns.see(_event("fault", "pull-1", fault="kill"))
    columns.see(_event("disconnected", "pull-1"))
    assert "pull: killed" in columns.foot()[2].plain
    columns.see(_event("repair", "pull-1", repair="start again"))
    assert "pull: started again" in columns.foot()[2].plain
    columns.see(_event("connected", "pull-1"))
    assert "pull: 1 connection" in columns.foot()[2].plain


def test_a_machine_fault_is_shown_in_words() -> None:
    columns = _columns(120)
    columns.see(Event(t=0.0, event="fault", machine="pull-1", details={"fault": "cut_cable"}))
    assert "cable cut" in columns.foot()[2].plain
    assert ":" not in columns.foot()[2].plain


def test_lines_say_whose_they_are_where_a_machine_runs_several_programs() -> None:
    columns = _columns(120)
    columns.see(_event("start", "pull-1"))
    line = _record("pull-1", "7")
    assert columns.row(line).plain.split() == ["0.000", "7"]
    columns.see(Event(t=0.0, event="start", machine="pull-1", process="step.2", details={}))
    assert columns.row(line).plain.split() == ["0.000", "pull:", "7"]
    assert columns.row(_record("push", "7")).plain.split() == ["0.000", "7"]
