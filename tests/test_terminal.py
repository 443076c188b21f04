"""What a user sees in the terminal: a run in progress, its verdicts, and nothing harmful."""

import contextlib
import io
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from captured_lines import captured
from hypothesis import given
from hypothesis import strategies as st

from pushpull.core.records import Event, Record
from pushpull.core.text import duration, fitted, harmless, wrapped
from pushpull.core.trace import Trace
from pushpull.report.live_view import View, show_verdicts
from pushpull.runs.chunk_traces import traces_and_said

MACHINES = ["push", "pull-1", "pull-2"]
HOSTILE = "\x1b[31m\x1b]0;owned\x07[bold]\x9b2J\r\x00\x7f\u202e\u2066\u200b\u2028\u2029\ufeff\u3164"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def record(machine: str, text: str | None, stream: str = "stdout", length: int = 0) -> Record:
    process = machine.partition("-")[0]
    return Record(machine=machine, process=process, stream=stream, n=0, t=1.5e9, text=text,
                  offset=0, length=length)  # fmt: skip


def event(name: str, machine: str = "pull-2", **details: Any) -> Event:
    return Event(t=1.5e9, event=name, machine=machine, process="pull", details=details)


@contextlib.contextmanager
def piped() -> Any:
    """Give a view, and the file that has what it showed once the block is over."""
    file = io.StringIO()
    view = View(MACHINES, file=file)
    yield view, file
    view.close()


# Untrusted text


@given(st.text(), st.integers(0, 40))
def test_harmless_text_is_printable_on_one_line_and_short(text: str, limit: int) -> None:
    shown, _, note = harmless(text, limit).partition("… (")
    assert (shown + note).isprintable()
    if "…" not in text:
        assert len(shown) <= limit
    if "\\" not in text and not note:  # then it can be read back
        assert re.sub(r"\\(x..|u.{4}|U.{8})", lambda m: chr(int(m[1][1:], 16)), shown) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("7 , 1353761234.5", "7 , 1353761234.5"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\tb\r", "a\\x09b\\x0d"),
        ("\x7f\x9b\xa0", "\\x7f\\x9b\\xa0"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\u200b\ufeff\u2028\u3164\ufe0f", "\\u200b\\ufeff\\u2028\\u3164\\ufe0f"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
        ("größer 日本 🙂", "größer 日本 🙂"),
        ("[bold]x[/bold] :smile:", "[bold]x[/bold] :smile:"),
    ],
)
def test_what_becomes_visible(text: str, shown: str) -> None:
    assert harmless(text, 100) == shown


def test_a_long_line_says_what_is_left_out() -> None:
    assert harmless("x" * 12_355, 10) == "xxxxxxxxxx… (12,345 characters more)"
    assert harmless("ab\x1b\x1b", 6) == "ab\\x1b… (1 character more)"  # no escape is cut in two


def test_small_words() -> None:
    assert [duration(s) for s in (0.0024, 0.0949, 0.15, 1.5, 61)] == [
        "2.4 ms", "95 ms", "150 ms", "1.5 s", "61 s",
    ]  # fmt: skip
    assert fitted("pull-1", 8) == "pull-1  "
    assert fitted("a-long-name-17", 6) == "…me-17"
    assert wrapped("see runs/a-very-long-name here", 10) == "see\nruns/a-very-long-name\nhere"


# The live view


def test_lines_faults_and_notes_come_in_their_order() -> None:
    with piped() as (view, file):
        view.experiment("kill_worker", "One is killed.", 20)
        view.records([record("push", "7")])
        view.records([record("pull-2", "7 , 1353761234.1")])
        view.event(event("start", program="pull", role="puller"))
        view.event(event("trigger", n=3, text="7 , 1353761234.1"))
        fault = {"fault": "kill", "trigger_to_effect_s": 0.0024, "verified": True}
        view.event(event("fault", **fault))
        view.event(event("exit", status=137, by="fault"))
        view.records([record("push", "8")])
        view.event(event("repair", repair="start again"))
        view.note("The end.")
    assert file.getvalue().splitlines() == [
        "",
        "kill_worker  One is killed.",
        "push   | 7",
        "pull-2 | 7 , 1353761234.1",
        "── pull on pull-2 was killed, 2.4 ms after it printed '7 , 1353761234.1' ".ljust(79, "─"),
        "push   | 8",
        "── pull on pull-2 was started again ".ljust(79, "─"),
        "The end.",
    ]


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ({"status": 0, "by": "itself"}, ""),
        ({"status": 137, "by": "fault"}, ""),
        ({"status": None, "by": "harness"}, ""),
        ({"status": 1, "by": "itself"}, "pull on pull-2 ended by itself, exit status 1 "),
        ({"status": 139, "by": "itself"}, "exit status 139 (SIGSEGV)"),
        ({"status": 255, "by": "itself"}, "exit status 255 ─"),
        ({"status": None, "by": "itself"}, "its exit status unknown"),
        ({"status": None, "by": "lost"}, "pull on pull-2 was lost: the connection to its machine "),
    ],
)
def test_only_an_unexpected_end_is_shown(details: dict[str, Any], shown: str) -> None:
    with piped() as (view, file):
        view.event(event("exit", **details))
    assert shown in file.getvalue()
    assert bool(shown) == bool(file.getvalue())


def test_a_trigger_elsewhere_and_a_fault_that_is_not_verified() -> None:
    with piped() as (view, file):
        view.event(event("trigger", machine="pull-1", n=0, text="x" * 30 + HOSTILE))
        view.event(event("fault", fault="kill", trigger_to_effect_s=2.5, verified=False))
        view.event(event("fault", fault="cut"))  # its trigger was used up
    shown = " ".join(file.getvalue().replace("─", "").split())
    assert f"2.5 s after pull-1 printed '{'x' * 24}…' (not verified:" in shown
    assert shown.endswith("pull on pull-2 was hit by 'cut'")


def test_stderr_is_shown_unless_it_is_a_trace() -> None:
    with piped() as (view, file):
        traces = ['{"t": 1.0, "event": "sent", "number": 7}', '{"event": "ready", "t": 2}']
        others = [
            "Traceback",
            '{"event": "ready"}',
            '{"event"',
            '{"no": 1}',
            "[" * 60_000,
            '{"a":' * 10_000,
            "",
        ]
        lines = captured(traces + others, ("push", "push"), "stderr")
        found, said = traces_and_said(lines)
        view.records(said)
    assert [one.event for one in found if isinstance(one, Trace)] == ["ready"]
    lines = file.getvalue().splitlines()
    assert len(lines) == len(others)
    assert lines[0] == "push   | stderr: Traceback"


def test_machine_output_does_nothing_to_the_terminal() -> None:
    with piped() as (view, file):
        whole = HOSTILE.replace("\r", "")  # nothing of it is drawn over
        view.records([record("pull-1", whole), record("pull-1", "y" * 5000)])
        view.records([record("pull-1", None, length=100_000_000), record("pull-1", HOSTILE)])
        view.event(event("trigger", n=0, text=HOSTILE))
        view.event(event("fault", fault=HOSTILE, trigger_to_effect_s=0.001))
        view.note(HOSTILE)
    lines = file.getvalue().split("\n")
    assert all(line.isprintable() for line in lines)
    assert "[bold]" in lines[0]  # and rich took nothing for its own
    assert lines[1] == f"pull-1 | {'y' * 200}… (4,800 characters more)"  # in a pipe in one piece
    assert lines[2] == "pull-1 | (a line of 100,000,000 bytes: the log has it)"


def test_a_flood_is_counted_and_blocks_no_caller() -> None:
    class Stuck(io.StringIO):
        """A terminal that takes nothing until it is let go, as after Ctrl-S."""

        go = threading.Event()

        def write(self, text: str) -> int:
            assert self.go.wait(60)
            return super().write(text)

    file = Stuck()
    view = View(MACHINES, file=file)
    for start in range(0, 100_000, 100):
        view.records([record("push", str(n)) for n in range(start, start + 100)])
    view.event(event("fault", fault="kill"))
    file.go.set()  # only now: all that came before has not waited for the terminal
    view.close()
    lines = file.getvalue().splitlines()
    shown = [int(line.partition("| ")[2]) for line in lines if line.startswith("push")]
    counted = [int(line.split()[1].replace(",", "")) for line in lines if line.endswith("log)")]
    assert shown[:400] == list(range(400))
    assert shown == sorted(shown)
    assert len(shown) + sum(counted) == 100_000
    assert len(shown) < 5_000
    assert "pull on pull-2 was killed" in lines[-1]


def test_a_burst_of_normal_size_is_shown_completely() -> None:
    with piped() as (view, file):
        threads = [
            threading.Thread(target=view.records, args=[[record(f"pull-{k}", "x")] * 30])
            for k in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(file.getvalue().splitlines()) == 300
    view.close()  # twice does no harm


def on_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a terminal of this width gets of a short run with a bar."""
    monkeypatch.setenv("COLUMNS", str(columns))
    master, slave = pty.openpty()
    chunks: list[bytes] = []
    seen = threading.Event()

    def read() -> None:
        with contextlib.suppress(OSError):  # how a closed terminal ends
            while chunk := os.read(master, 65536):
                chunks.append(chunk)
                seen.set()

    reader = threading.Thread(target=read)
    with os.fdopen(slave, "w", encoding="utf-8") as file:
        reader.start()
        view = View(MACHINES, file=file)
        view.experiment("kill_worker", "One is killed.", 90)
        assert seen.wait(30)
        view.records([record("push", "7")])
        view.close()
    reader.join()
    os.close(master)
    return b"".join(chunks).decode()


@pytest.mark.parametrize("columns", [40, 12])  # where columns don't fit: see test_columns
def test_a_terminal_gets_colour_and_a_bar_that_is_gone_at_the_end(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = on_terminal(columns, monkeypatch)
    assert "\x1b[1;36mpush   | " in shown
    assert "1 min 30 s left" in shown
    rows = [re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", row) for row in re.split(r"[\r\n]+", shown)]
    assert columns < 40 or all(len(row) < columns for row in rows)
    assert rows[-2:] == ["push   | 7", ""]


@pytest.mark.parametrize(
    ("name", "value"),
    [("NO_COLOR", "1"), ("TERM", "dumb"), ("CI", "true"), ("TTY_COMPATIBLE", "0")],
)
def test_no_colour_where_none_is_wanted(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    shown = on_terminal(80, monkeypatch)
    assert not re.search(r"\x1b\[[\d;]*3[0-7]", shown)
    assert ("\x1b" in shown) == ("left" in shown) == (name == "NO_COLOR")  # no bar either


DEMO = """
import sys
from pushpull.core.records import Event, Record
from pushpull.report.live_view import View, show_verdicts
view = View(["push"])
view.event(Event(t=0.0, event="fault", details={"fault": "cut"}))
for n in range(1000):
    view.records([Record(machine="push", process="push", stream="stdout", n=n, t=0.0,
                         text="ä" * 150, offset=0, length=300)])
view.close()
show_verdicts([], file=sys.stdout)
print("survived", file=sys.stderr)
"""


def demo(**options: Any) -> Any:
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", DEMO]
    return subprocess.run(command, cwd=root, stderr=subprocess.PIPE, text=True, **options)


def test_a_reader_that_leaves_ends_nothing() -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = demo(stdout=theirs)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "survived\n")


def test_a_terminal_without_utf_8() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = demo(stdout=subprocess.PIPE, env=environment)
    assert (done.returncode, done.stderr) == (0, "survived\n")
    assert done.stdout.startswith("-- the lab was hit by 'cut' ---")
    assert "push | \\xe4\\xe4" in done.stdout


# Verdicts


def verdict(name: str, outcome: str, **other: Any) -> dict[str, Any]:
    evidence = {"messages": [], "events": []}
    return {"id": name, "statement": f"{name} is claimed.", "source": "article, 2", "because": "",
            "verdict": outcome, "expected": "holds", "by_chance": False, "evidence": evidence,
            "why": f"Seen of {name}."} | other  # fmt: skip


def shown(*verdicts: dict[str, Any]) -> str:
    file = io.StringIO()
    show_verdicts(verdicts, file=file)
    return file.getvalue()


KILL = {"t": 1353761242.1234, "event": "fault", "machine": "pull-2", "process": "pull",
        "fault": "kill", "verified": True}  # fmt: skip


def test_a_failure_shows_claim_expectation_and_what_was_seen_where() -> None:
    connected = {"t": 1353761243.5, "event": "connected", "machine": "pull-1", "process": "pull"}
    numbers = {"messages": list(range(12, 62)), "messages_in_all": 80}
    evidence = {**numbers, "events": [KILL, connected]}
    assert shown(verdict("kill.all", "refuted", evidence=evidence, partial=True)).splitlines() == [
        "✗ kill.all (partial: the run was interrupted)",
        "  claimed   kill.all is claimed.",
        "  where     article, 2",
        "  expected  holds",
        "  observed  refuted: Seen of kill.all.",
        "  messages  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,",
        "            29, 30, 31 … and 60 more",
        "  events    12:47:22.123 UTC  pull on pull-2 was killed",
        "            12:47:23.500 UTC  connected on pull-1",
        "",
        "1 claim: 1 not as expected",
    ]


def test_the_order_is_failures_then_not_observed_then_the_expected() -> None:
    known = {"expected": "refuted", "because": "the article guesses wrong"}
    lines = shown(
        verdict("a.holds", "holds"),
        verdict("a.known", "refuted", **known),
        verdict("b.chance", "not observed", by_chance=True),
        verdict("b.missed", "not observed"),
        verdict("c.surprise", "holds", **known),
        verdict("c.fails", "refuted"),
    ).splitlines()
    assert [line for line in lines if line and line[0] != " "] == [
        "✗ c.surprise",
        "✗ c.fails",
        "? b.missed",
        "? b.chance (inconclusive, not counted)",
        "✓ a.holds is claimed.",
        "✓ a.known is claimed.",
        "6 claims: 2 not as expected; 2 not observed; 1 as expected; 1 refuted (as",
        "expected)",
    ]
    assert "  refuted (as expected): Seen of a.known." in lines
    assert "  expected  refuted: the article guesses wrong" in lines


def test_experiments_are_headed_where_there_are_several() -> None:
    lines = shown(verdict("one.a", "holds"), verdict("two.b", "holds")).splitlines()
    assert lines[0] == "one"
    assert lines[3] == "two"


def test_verdicts_fit_a_narrow_terminal_and_hide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told = {"why": "words " * 30 + HOSTILE, "by_chance": True, "partial": True}
    text = shown(verdict("a.one", "refuted", **told), verdict("a.two", "holds", **told),
                 verdict("a.three", "not observed", **told))  # fmt: skip
    assert all(len(line) <= 40 and line.isprintable() for line in text.split("\n"))
    assert shown() == "0 claims\n"
