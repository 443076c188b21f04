"""How lines become messages: a reader for programs that print a message's number in each line."""

import json
import re
from collections.abc import Mapping

from lab.experiment import Reader
from lab.records import Message, Record

_TRACES = {"sent": "dealt", "received": "taken"}


def lines(*, sent: Mapping[str, str], received: Mapping[str, str]) -> Reader:
    """Return a reader of lines for `@experiment(reads=...)`.

    Arguments:
        sent: for each program that sends (its file's name without the ending) a regular expression
            that all of a line must match; its first group is the message's number.
        received: the same for each program that receives.

    What a program traces on stderr (see docs/run-directory.md) is read as well.
    """
    patterns = {
        **{program: ("sent", re.compile(pattern)) for program, pattern in sent.items()},
        **{program: ("received", re.compile(pattern)) for program, pattern in received.items()},
    }

    def read(record: Record) -> Message | None:
        if record.text is None:
            return None
        if record.stream == "stderr":
            return _traced(record, record.text)
        kind, pattern = patterns.get(record.process.partition(".")[0], (None, None))
        match = pattern.fullmatch(record.text) if pattern else None
        return _message(record, kind, int(match[1]), record.t) if kind and match else None

    return read


def _traced(record: Record, text: str) -> Message | None:
    if '"number"' not in text:  # most lines, and cheaper than to parse them
        return None
    try:
        trace = json.loads(text)
        return _message(record, _TRACES[trace["event"]], int(trace["number"]), float(trace["t"]))
    except (ValueError, TypeError, KeyError):
        return None  # not a trace: a program may print what it likes


def _message(record: Record, kind: str, number: int, t: float) -> Message:
    return Message(
        kind=kind,
        number=number,
        machine=record.machine,
        process=record.process,
        n=record.n,
        t=t,
    )
