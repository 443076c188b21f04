"""A run's machines side by side, and how two runs differ."""

import functools
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pushpull.analysis.quantities import Quantity, quantity
from pushpull.analysis.side_by_side import Row, SideBySide, differences, side_by_side
from pushpull.analysis.values import none
from pushpull.core.records import Event, Message, Record
from pushpull.experiments.judges.line_formats import read
from pushpull.report.compare_text import print_differences, print_side_by_side, print_values
from pushpull.runs.store import StoredRun

START = 1353761234.5
Lines = Sequence[tuple[str, float, str | None]]  # machine, seconds since the start, text


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def run(lines: Lines, *events: Event, verdicts: Any = None, name: str = "one") -> StoredRun:
    records = [record(n, *line) for n, line in enumerate(lines)]
    return StoredRun(path=Path("runs") / name, state="finished", description={},
                     records=tuple(records), events=events, verdicts=verdicts)  # fmt: skip


def record(n: int, machine: str, t: float, text: str | None, stream: str = "stdout") -> Record:
    process = machine.partition("-")[0]
    return Record(machine=machine, process=process, stream=stream, n=n, t=START + t, text=text,
                  offset=0, length=100_000)  # fmt: skip


def event(name: str, t: float, machine: str = "pull-1", **details: Any) -> Event:
    return Event(t=START + t, event=name, machine=machine, process="pull", details=details)


def got(number: int) -> str:
    return f"{number} , {START + number:.6f}"


def told(row: Row) -> tuple[list[str], list[str | None], str]:
    return [r.machine for r in row.records], [r.text for r in row.records], row.note


def printed(show: Callable[..., None], what: object, columns: int = 80) -> list[str]:
    file = io.StringIO()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COLUMNS", str(columns))
        show(what, file=file)
    return [line.rstrip() for line in file.getvalue().split("\n")]


# Side by side


def test_a_message_is_one_row_whichever_line_was_captured_first() -> None:
    lines = [("pull-1", 0.0, got(0)), ("push", 0.001, "0"), ("push", 1.0, "1"),
             ("pull-2", 1.001, got(1))]  # fmt: skip
    compared = side_by_side(run(lines), read)
    assert compared.machines == ("push", "pull-1", "pull-2")
    assert [told(row) for row in compared.rows] == [
        (["push", "pull-1"], ["0", got(0)], ""),
        (["push", "pull-2"], ["1", got(1)], ""),
    ]
    assert [row.t for row in compared.rows] == [0.0, 1.0]


def test_a_message_that_went_wrong_has_a_note() -> None:
    lines = [("push", 0.0, "0"), ("push", 1.0, "1"), ("pull-1", 1.1, got(1)),
             ("pull-2", 1.2, got(1)), ("pull-2", 1.3, got(9)), ("pull-2", 1.4, got(9))]  # fmt: skip
    assert [told(row) for row in side_by_side(run(lines), read).rows] == [
        (["push"], ["0"], "nobody"),
        (["push", "pull-1"], ["1", got(1)], ""),
        (["pull-2"], [got(1)], "again"),
        (["pull-2"], [got(9)], "never sent"),
        (["pull-2"], [got(9)], "again"),
    ]


def test_a_message_that_is_sent_twice_may_arrive_twice() -> None:
    lines = [("push", 0.0, "0"), ("push", 1.0, "0"), ("pull-1", 0.1, got(0)),
             ("pull-2", 1.1, got(0))]  # fmt: skip
    rows = side_by_side(run(lines), read).rows
    assert [told(row) for row in rows] == [
        (["push", "pull-1"], ["0", got(0)], ""),
        (["push", "pull-2"], ["0", got(0)], ""),
    ]


def test_other_lines_and_events_stand_at_their_time() -> None:
    fault = event("fault", 0.5, fault="kill")
    lines = [("pull-1", 0.0, "hello"), ("pull-1", 1.0, None), ("pull-10", 1.0, ""),
             ("pull-2", 1.0, "")]  # fmt: skip
    compared = side_by_side(run(lines, event("start", -0.1), fault), read)
    assert compared.machines == ("pull-1", "pull-2", "pull-10")
    assert [round(row.t, 3) for row in compared.rows] == [-0.1, 0.0, 0.5, 1.0, 1.0, 1.0]
    assert compared.rows[2].event is fault


def test_stderr_is_left_out() -> None:
    stored = run([("push", 0.0, "0")])
    trace = record(0, "push", 0.0, '{"event": "sent", "number": 0, "t": 1.0}', "stderr")
    with_trace = StoredRun(path=stored.path, state="died", description={}, verdicts=None,
                           records=(*stored.records, trace), events=())  # fmt: skip
    assert len(side_by_side(with_trace, read).rows) == 1


KILLED = run(
    [("push", 0.0, "0"), ("pull-1", 0.0, got(0)), ("push", 1.0, "1"), ("pull-2", 1.0, got(1)),
     ("push", 2.0, "2"), ("pull-1", 2.0, got(2)), ("push", 3.0, "3"), ("push", 4.0, "4"),
     ("pull-2", 5.2, got(4)), ("pull-2", 6.0, "\x1b[2J[bold]" + "x" * 90)],
    event("trigger", 2.0, n=1, text=got(2)),
    event("fault", 2.0024, fault="kill", trigger_to_effect_s=0.0024, verified=True),
    event("exit", 2.003, status=137, by="fault"),
)  # fmt: skip


def test_columns() -> None:
    assert printed(print_side_by_side, side_by_side(KILLED, read)) == [
        "          push        pull-1                 pull-2",
        "   0.000  0           0 , 1353761234.500000",
        "   1.000  1                                  1 , 1353761235.500000",
        "   2.000  2           2 , 1353761236.500000",
        "── 2.002  pull on pull-1 was killed, 2.4 ms after it printed '2 ,",
        f"   1353761236.500000' {'─' * 57}",
        "   3.000  3 (nobody)",
        "   4.000  4                                  4 , 1353761238.500000 (1.2 s later)",
        "   6.000                                     \\x1b[2J[bold]xxxxxxxxxxxxxxxxxxxxx…",
        "",
    ]


def test_a_wider_screen_shows_more() -> None:
    lines = printed(print_side_by_side, side_by_side(KILLED, read), 200)
    assert lines[6].endswith("  4 , 1353761238.500000 (1.2 s later)")
    assert len(lines[4]) == 199


def test_one_line_a_row_where_columns_have_no_room() -> None:
    lines = printed(print_side_by_side, side_by_side(KILLED, read), 40)
    assert lines[:5] == [
        "   0.000 push    0",
        "         pull-1  0 , 1353761234.500000",
        "   1.000 push    1",
        "         pull-2  1 , 1353761235.500000",
        "   2.000 push    2",
    ]
    assert "   3.000 push    3 (nobody)" in lines
    assert all(len(line) <= 40 and line.isprintable() for line in lines)


def test_a_message_to_oneself_and_a_run_without_output() -> None:
    def reads(record: Record) -> Message:
        kind = "sent" if record.text == "out" else "received"
        return Message(kind=kind, number=0, machine="here", process="p", n=0, t=0.0)

    both = run([("here", 0.0, "out"), ("here", 0.5, "in")])
    lines = printed(print_side_by_side, side_by_side(both, reads))
    assert "   0.000  out / in (500 ms later)" in lines
    empty = side_by_side(run([]), read)
    assert empty == SideBySide(machines=(), rows=(), sends=False)
    assert printed(print_side_by_side, empty) == ["Nothing was printed on stdout in this run.", ""]


@pytest.mark.slow
def test_a_large_run() -> None:
    lines = []
    for n in range(100_000):
        lines += [("push", n / 1000, str(n)), (f"pull-{n % 2}", n / 1000, got(n))]
    one = run(lines)
    assert all(len(row.records) == 2 for row in side_by_side(one, read).rows)
    swapped = [({"pull-0": "pull-1", "pull-1": "pull-0"}.get(m, m), t, x) for m, t, x in lines]
    found = differences(one, run(swapped))
    assert {key: len(lines) for key, lines in found.moved.items()} == {
        ("pull-0", "pull-1"): 50_000,
        ("pull-1", "pull-0"): 50_000,
    }


# Run beside run


def shared(first: int, later: float) -> list[tuple[str, float, str | None]]:
    """Four messages in turn, the first to pull-`first`."""
    lines: list[tuple[str, float, str | None]] = []
    lines += [("push", n + later, str(n)) for n in range(4)]
    times = [(n, n + later) for n in range(4)]
    lines += [(f"pull-{(n + first) % 2}", t, f"{n} , {START + t}") for n, t in times]
    return lines


def test_times_are_not_differences() -> None:
    found = differences(run(shared(0, 0.0)), run(shared(0, 1000.25), name="other"))
    assert (found.one, found.other) == ("one", "other")
    assert [(log.machine, log.lines, log.first) for log in found.logs] == [
        ("pull-0", (2, 2), None),
        ("pull-1", (2, 2), None),
        ("push", (4, 4), None),
    ]
    assert not any([found.moved, found.missing, found.added, found.only_one, found.only_other])
    assert not found.verdicts_differ


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("7 , 1353761234.5", "7 , 1753761234.123456", True),
        ("at 1353761234.5, 1353761235.5", "at 1353761236.5, 1353761237.5", True),
        ("7 , 1353761234.5", "8 , 1353761234.5", False),
        ("1253761234", "1253761235", False),  # a number without a point may be anything
        ("1353761234", "1353761235", True),  # unless it is about the time of the line
        ("1353761234500 got 1", "1353761299123 got 1", True),
        ("1253761234500 got 1", "1253761299123 got 1", False),
        ("1353761234500123 x", "1353761234500999 x", True),
        ("1353761234500123456", "1353761234500123457", True),
        ("135376123450012345", "135376123450012346", False),
        ("2026-11-24T08:18:20Z got 1", "2027-01-02T18:08:21Z got 1", True),
        ("2026-11-24T08:18:20.123456+01:00 a", "2026-11-24T08:18:21+0100 a", True),
        ("2026-11-24 08:18:20,123 INFO 1", "2026-11-24 09:19:20,456 INFO 1", True),
        ("2026-11-24 08:18:20,123 INFO 1", "2026-11-24 08:18:20,123 INFO 2", False),
        ("2026/11/24 08:18:20 1", "2026/11/25 08:18:20 1", True),
        ("[24/Nov/2026:08:18:20 +0000] a", "[25/Nov/2026:08:18:21 +0000] a", True),
        ("Tue Nov 24 08:18:20 2026: a", "Wed Nov 25 08:18:21 2026: a", True),
        ("Nov  4 08:18:20 host a", "Nov 14 08:18:21 host a", True),
        ("20261124T081820Z a", "20261124T081821Z a", True),
        ("at 08:18:20.", "at 08:18:21.", True),
        ("2026-11-24 a", "2026-11-25 a", False),  # a day is no time
        ("00:11:22:33:44:55", "00:11:22:33:44:56", False),  # a network card's address
        ("1:2:3", "1:2:4", False),
        ("0.5", "0.6", False),
        ("91353761234.5", "91353761235.5", False),
        ("1353761234.5.1", "1353761234.5.2", False),  # an address, a version
        ("x1353761234.5", "x1353761235.5", False),
    ],
)
def test_what_counts_as_a_time(one: str, other: str, same: bool) -> None:
    found = differences(run([("push", 0.0, one)]), run([("push", 0.0, other)]))
    assert (found.logs[0].first is None) == same


def test_if_lines_differ_the_recognised_times_are_listed() -> None:
    one, other = run([("push", 0.0, "half past 8")]), run([("push", 0.0, "half past 9")])
    said = " ".join(printed(print_differences, differences(one, other)))
    assert "Other formats are not recognised." in said
    assert "Other formats" not in " ".join(printed(print_differences, differences(one, one)))


def test_swapped_machines_are_reported_and_are_not_a_failure() -> None:
    found = differences(run(shared(0, 0.0)), run(shared(1, 0.0), name="other"))
    assert found.logs[0].first == (1, "0 , <time>", "1 , <time>")
    assert found.moved == {
        ("pull-0", "pull-1"): ["0 , <time>", "2 , <time>"],
        ("pull-1", "pull-0"): ["1 , <time>", "3 , <time>"],
    }
    assert not found.verdicts_differ
    assert printed(print_differences, found) == [
        "A  one",
        "B  other",
        "",
        "Output, ignoring times:",
        "  pull-0/pull  2 lines, different from line 1 on",
        "               A: 0 , <time>",
        "               B: 1 , <time>",
        "  pull-1/pull  2 lines, different from line 1 on",
        "               A: 1 , <time>",
        "               B: 0 , <time>",
        "  push/push    4 lines, the same",
        "",
        "4 lines on another machine in B than in A. That alone is not a failure: which",
        "machine gets the first message may vary from run to run.",
        "  pull-0 -> pull-1: 0, 2",
        "  pull-1 -> pull-0: 1, 3",
        "",
        "The verdicts are the same.",
        "",
    ]


def test_lines_and_machines_that_only_one_run_has() -> None:
    one = run([*shared(0, 0.0), ("pull-3", 9.0, "alone"), ("push", 9.0, "\x1bbye")])
    other = run([*shared(0, 0.0), ("pull-1", 9.0, "new"), ("pull-1", 9.0, None)])
    found = differences(one, other)
    assert (found.only_one, found.only_other) == (("pull-3",), ())
    assert (found.missing, found.added) == (("\x1bbye", "alone"), ("new", "<100000 bytes>"))
    firsts = {log.machine: log.first for log in found.logs}
    assert firsts == {"pull-0": None, "pull-1": (3, None, "new"), "push": (5, "\x1bbye", None)}
    lines = printed(print_differences, found)
    assert "  push/push    5 lines in A, 4 in B, different from line 5 on" in lines
    assert lines[lines.index("               A: \\x1bbye") + 1] == "               B: (no more)"
    assert "  only in A: pull-3" in lines
    assert "2 lines only in A: \\x1bbye, alone" in lines
    assert "2 lines only in B: new, <100000 bytes>" in lines


def test_a_second_life_that_only_one_run_has() -> None:
    again = Record(machine="push", process="push.2", stream="stdout", n=0, t=START, text="0",
                   offset=0, length=1)  # fmt: skip
    one = run(shared(0, 0.0))
    other = StoredRun(path=Path("other"), state="finished", description={}, verdicts=None,
                      records=(*one.records, again), events=())  # fmt: skip
    found = differences(one, other)
    assert (found.only_one, found.only_other) == ((), ("push.2 on push",))
    assert found.added == ("0",)


def test_verdicts_that_differ() -> None:
    def verdicts(**outcomes: str) -> list[dict[str, str]]:
        return [{"id": f"kill.{name}", "verdict": outcome} for name, outcome in outcomes.items()]

    one = run([], verdicts=verdicts(a="holds", b="holds", c="refuted"))
    other = run([], verdicts=verdicts(a="holds", b="refuted", d="holds"))
    found = differences(one, other)
    assert found.verdicts_differ
    assert found.verdicts == (
        ("kill.b", "holds", "refuted"),
        ("kill.c", "refuted", ""),
        ("kill.d", "", "holds"),
    )
    assert printed(print_differences, found)[-5:] == [
        "The verdicts differ:",
        "  kill.b: holds -> refuted",
        "  kill.c: refuted -> no verdict",
        "  kill.d: no verdict -> holds",
        "",
    ]
    assert differences(one, run([])).verdicts_differ  # it was interrupted, so it judged nothing
    assert not differences(run([]), run([])).verdicts_differ


def quantity_of(name: str, numbers: list[float]) -> Quantity:
    return quantity(replace(none(name), numbers=np.array(numbers)))


def test_values_of_two_runs() -> None:
    one = quantity_of("latency_ms", [1, 2, 300.25, math.nan])
    other = quantity_of("depth\x1b[2J", [7, math.inf])
    said = printed(functools.partial(print_values, {"a": one}), {"b": other}, 120)
    assert said == [
        "",
        "depth\\x1b[2J",
        "  A  no values",
        "  B  median 7, p90 inf, p99 inf, 7 to inf, 2 values",
        "",
        "latency_ms",
        "  A  median 2 ms, p90 300.2 ms, p99 300.2 ms, 1 ms to 300.2 ms, 3 values, 1 not a number",
        "  B  no values",
        "",
    ]
