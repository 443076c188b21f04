"""What a program prints on stderr, odd or hostile: a trace is bounded, and none spoils a run."""

import io
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import pytest
from made_runs import LEAST

from pushpull.core.clock import Clock, Moment
from pushpull.core.records import Record
from pushpull.core.trace import Trace, parse
from pushpull.engine.ending import Plan
from pushpull.engine.monitor import RunMonitor
from pushpull.experiments.judges.line_formats import read
from pushpull.report.live_view import View
from pushpull.runs import store
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory

LINES = 2_000
ODD = '{}[]",:0e9-\\u\r\x00\x1b ünN'
HOSTILE = [
    '{"event": [], "t": 1.0}',
    '{"event": {}, "t": 1.0}',
    '{"event": null, "t": 1.0}',
    '{"event": "ready", "t": 1.0, "x": 1e999}',
    '{"event": "ready", "t": 1.0, "x": -1e999}',
    '{"event": "ready", "t": 1.0, "x": [{"y": Infinity}]}',
    '{"event": "ready", "t": NaN}',
    '{"event": "ready", "t": -1}',
    '{"event": "ready", "t": 1e300}',
    '{"event": "ready", "t": true}',
    '{"event": "ready", "t": "1.0"}',
    '{"event": "ready"}',
    '{"t": 1.0}',
    "{}",
    "{",
    '{"event": "ready", "t": 1.0, "x": ' + "9" * 400 + "}",
    '{"event": "ready", "t": ' + "9" * 5000 + "}",
    '{"event": "received", "t": 1.0, "number": ' + "9" * 400 + "}",
    '{"event": "ready", "t": 1.0, "x": ' + "[" * 30 + "]" * 30 + "}",
    '{"event": "ready", "t": 1.0, "x": ' + "[" * 3000 + "]" * 3000 + "}",
    '{"event": "ready", "t": 1.0, "x": ' + '{"x":' * 1500,
    '{"event": "ready", "t": 1.0, "x": "' + "x" * 9000 + '"}',
    '{"event": "ready", "t": 1.0, "x": "\\ud800"}',
    '{"event": "ready", "t": 1.0, "\\udfff": 1}',
    '{"event": "\\u0000", "t": 1.0}',
    '{"event": "' + "r" * 100 + '", "t": 1.0}',
    '{"event": "fault", "t": 1.0}',
    '{"event": "ready", "t": 1.0} {}',
]
SOUND = [
    '{"event": "ready", "t": 1.5, "libzmq": "4.3.5"}',
    '{"event": "connected", "t": 2}',
    '{"event": "received", "t": 2.5, "number": "3"}',
    '{"event": "dies", "t": 3.5, "number": "3"}',
    '{"event": "sent", "t": 2.5, "number": 3}',
    '{"event": "ready", "t": 1.0, "machine": [], "process": {"x": 1}}',
    '{"t": 1.5, "event": "values", "values": {"ms": 1.5, "a b": -0.25e-07}}',
    '{"t": 1.5, "m": 2.5, "event": "received", "number": 3, "values": {"ms": 12, "n": null}}',
    '{"t": 1.5, "event": "sent", "number": "3", "text": "3", "values": {}}',
]


@pytest.mark.parametrize("text", HOSTILE, ids=[text[:60] for text in HOSTILE])
def test_a_line_that_is_not_a_trace(text: str) -> None:
    assert parse(text) is None


def test_what_a_trace_holds() -> None:
    assert parse(SOUND[0]) == Trace(
        at=Moment(1.5), event="ready", number=None, details={"libzmq": "4.3.5"}
    )
    assert parse(SOUND[2]) == Trace(
        at=Moment(2.5), event="received", number=3, details={"number": "3"}
    )
    assert parse(SOUND[5]) == Trace(at=Moment(1.0), event="ready", number=None, details={})


@pytest.mark.parametrize(
    "number", ["-1", "1.0", "true", "null", "[]", '"-1"', '"٣"', '"1e3"', f'"{"9" * 19}"', '""']
)
def test_a_number_that_is_not_a_messages(number: str) -> None:
    trace = parse(f'{{"event": "received", "t": 1.0, "number": {number}}}')
    assert trace is not None
    assert trace.number is None


def fuzzed(seed: int) -> list[str]:
    """Return lines that are traces, nearly, or not at all."""
    chance = random.Random(seed)
    lines = [*HOSTILE, *SOUND]
    while len(lines) < LINES:
        match chance.randrange(4):
            case 0:  # a character or two changed
                text = list(chance.choice(HOSTILE + SOUND))
                for _ in range(chance.randint(1, 3)):
                    text[chance.randrange(len(text))] = chance.choice(
                        '{}[]",:0e9-\\u\r\x00\x1b ünN'
                    )
                lines.append("".join(text))
            case 1:  # a piece cut off or doubled
                text_ = chance.choice(HOSTILE + SOUND)
                cut = chance.randrange(len(text_))
                lines.append(chance.choice([text_[:cut], text_[cut:], text_[:cut] + text_]))
            case 2:  # a well-formed object of odd values
                value = {"event": "ready", "t": 1.0}
                for _ in range(chance.randint(0, 3)):
                    key = chance.choice(["event", "t", "number", "machine", "by", "x", "\u2028"])
                    value[key] = odd(chance)
                lines.append(json.dumps(value))
            case _:  # characters
                many = range(chance.randint(0, 80))
                lines.append("{" + "".join(chr(chance.randrange(1, 0x3000)) for _ in many))
    return [line.replace("\n", " ") for line in lines]


def odd(chance: random.Random, depth: int = 0) -> Any:
    values: list[Any] = [
        None, True, -1, 0, 2**63, 10**30, 10**350, 1e308, math.inf, -math.inf, math.nan, "",
        "ready", "received", "dies", "9" * 18, "9" * 400, "\ud800", "\x1b[2J", "\u202e", "fault",
        "exit",
    ]  # fmt: skip
    if depth < 3 and chance.random() < 0.3:
        return [odd(chance, depth + 1)] * chance.randint(0, 3)
    if depth < 3 and chance.random() < 0.3:
        return {str(odd(chance, 3)): odd(chance, depth + 1)}
    return chance.choice(values)


@pytest.mark.parametrize("seed", range(3))
def test_no_line_spoils_a_run(tmp_path: Path, seed: int) -> None:
    """Each goes through the parser and a run's intake; what was kept is read back whole."""
    lines = fuzzed(seed)
    directory = RunDirectory.create(tmp_path, "push_pull", LEAST)
    clocks = {"pull-1": Clock(offset_s=1.25)}
    screen = io.StringIO()
    view = View(["pull-1"], file=screen)
    monitor = RunMonitor(directory, view, read, clocks, Plan(count=1, interval=1.0, takes=0))
    stream = Capture(directory, monitor.records).open("pull-1", "pull", "stderr")
    kept = 0
    for line in lines:
        trace = parse(line)
        before = monitor.connected + len(monitor.dying)
        stream.feed(line.encode(errors="surrogatepass") + b"\n")
        assert monitor.trouble is None, line
        kept += trace is not None
        assert monitor.connected + len(monitor.dying) == before or trace is not None, line
    stream.close()
    view.close()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", screen.getvalue())
    directory.close()
    assert len(SOUND) <= kept < LINES / 2
    stored = store.load(directory.path)
    assert len(stored.records) == len(lines)
    for record in stored.records:  # as any later reader takes them
        assert isinstance(read(record), object)
    assert all(math.isfinite(event.t) and event.t >= 0 for event in stored.events)


def shown(text: str | None) -> str | None:
    return Record(
        machine="pull-1", process="pull", stream="stdout", n=0, t=0.0, text=text, offset=0, length=1
    ).shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("7", "7"),
        ("7\r", "7"),
        ("7\r\r", "7"),
        ("\r7", "7"),
        ("\r[##  ]\r[####]\r7", "7"),
        ("[####]\r\r7\r", "7"),
        ("7 \r", "7 "),
        ("\r", ""),
        ("", ""),
        (None, None),
    ],
)
def test_what_a_terminal_shows_of_a_line(text: str | None, seen: str | None) -> None:
    assert shown(text) == seen
