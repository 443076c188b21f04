"""How lines become messages, and how a claim reads lines that are none."""

import contextlib
import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.core.records import Message, Reader, Record
from lab.core.trace import trace_of

if TYPE_CHECKING:
    from lab.analysis.history import Run

_TRACES = {"sent": "dealt", "received": "taken"}


def lines(
    *, sent: Mapping[str, str] | None = None, received: Mapping[str, str] | None = None
) -> Reader:
    """Return a reader of lines for `@experiment(reads=...)`.

    Arguments:
        sent: for each program that sends (its file's name without the ending) a regular expression
            that all of a line must match; its first group is the message's number.
        received: the same for each program that receives.

    What a program traces on stderr (see docs/program-protocol.md) is read as well.
    """
    patterns: dict[str, list[tuple[str, re.Pattern[str]]]] = defaultdict(list)
    for kind, told in (("sent", sent), ("received", received)):
        for program, pattern in (told or {}).items():
            patterns[program].append((kind, _with_a_group(pattern)))

    @functools.cache
    def of(process: str) -> list[tuple[str, re.Pattern[str]]]:
        return [
            one for program in patterns if is_life(process, program) for one in patterns[program]
        ]

    def read(record: Record) -> Message | None:
        text = record.shown
        if text is None:
            return None
        if record.stream == "stderr":
            return _traced(record, text)
        for kind, pattern in of(record.process):
            if match := pattern.fullmatch(text):
                return _message(record, kind, _number(match), record.t)
        return None

    return read


def _with_a_group(pattern: str) -> re.Pattern[str]:
    compiled = re.compile(pattern)
    if not compiled.groups:
        raise ValueError(f"the pattern {pattern!r} has no group: put the number in parentheses")
    return compiled


def _number(match: re.Match[str]) -> int:
    if not re.fullmatch(r"\d{1,18}", match[1] or "", re.ASCII):
        what = f"what the group of {match.re.pattern!r} finds is no number in {match.string!r}"
        raise LabError(what, hint=r"write (\d+) for the number")
    return int(match[1])


def _traced(record: Record, text: str) -> Message | None:
    if '"number"' not in text:  # most lines, and cheaper than to parse them
        return None
    trace = trace_of(record)
    if trace is None or trace.number is None or trace.event not in _TRACES:
        return None
    return _message(record, _TRACES[trace.event], trace.number, *trace.at)


def _message(record: Record, kind: str, number: int, t: float, m: float | None = None) -> Message:
    return Message(
        kind=kind,
        number=number,
        machine=record.machine,
        process=record.process,
        n=record.n,
        t=t,
        m=m,
    )


def printed(run: "Run", program: str) -> list[Record]:
    """Return what all lives of a program printed on stdout, in the order of the capture."""
    return [
        record
        for record in run.records
        if record.stream == "stdout" and is_life(record.process, program)
    ]


def is_life(process: str, program: str) -> bool:
    """Tell whether a process of this name is a life of a program: `count`, `count.2`, `count.3`."""
    name, dot, number = process.rpartition(".")
    return process == program or (name == program and dot == "." and number.isdigit())


def unread(records: Iterable[Record], reads: Reader) -> str:
    """Return in a sentence that messages came on stderr alone; empty where that isn't so.

    A message is a line on stdout. Python's logging, for one, writes on stderr.
    """
    places: dict[str, int] = {}
    for record in records:
        with contextlib.suppress(Exception):  # the experiment's own code, on what isn't for it
            if reads(record) is not None:
                return ""
            if record.stream == "stderr" and reads(replace(record, stream="stdout")) is not None:
                place = f"{record.process} on {record.machine}"
                places[place] = places.get(place, 0) + 1
    if not places:
        return ""
    found = ", ".join(f"{place} ({number})" for place, number in places.items())
    return f"No message was seen. Lines on stderr look like some, but stdout is read: {found}."


def nothing(_: Record) -> Message | None:
    """Read no line as a message: for programs of which nobody said how."""
    return None
