"""How lines become messages, and how a claim reads lines that are none."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.records import Message, Reader, Record
from lab.trace import trace_of

if TYPE_CHECKING:
    from lab.claims import Run

_TRACES = {"sent": "dealt", "received": "taken"}


def lines(
    *, sent: Mapping[str, str] | None = None, received: Mapping[str, str] | None = None
) -> Reader:
    """Return a reader of lines for `@experiment(reads=...)`.

    Arguments:
        sent: for each program that sends (its file's name without the ending) a regular expression
            that all of a line must match; its first group is the message's number.
        received: the same for each program that receives.

    What a program traces on stderr (see docs/run-directory.md) is read as well.
    """
    patterns: dict[str, list[tuple[str, re.Pattern[str]]]] = defaultdict(list)
    for kind, told in (("sent", sent), ("received", received)):
        for program, pattern in (told or {}).items():
            patterns[program].append((kind, _with_a_group(pattern)))

    def read(record: Record) -> Message | None:
        text = record.shown
        if text is None:
            return None
        if record.stream == "stderr":
            return _traced(record, text)
        for kind, pattern in patterns.get(record.process.partition(".")[0], ()):
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
        raise LabError(what, cure=r"write (\d+) for the number")
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
        if record.stream == "stdout" and record.process.partition(".")[0] == program
    ]


def nothing(_: Record) -> Message | None:
    """Read no line as a message: for programs of which nobody said how."""
    return None
