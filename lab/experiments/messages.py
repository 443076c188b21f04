"""How a line of `push` and `pull` is read: `7` was sent, `7 , 1353761234.5` was received."""

import json
import re

from lab.records import Message, Record

_LINES = {
    ("push", "stdout"): ("sent", re.compile(r"(\d{1,18})")),
    ("pull", "stdout"): ("received", re.compile(r"(\d{1,18}) , \d+(?:\.\d+)?")),
}
_TRACES = {"sent": "dealt", "received": "taken"}


def read(record: Record) -> Message | None:
    """Return the message that a captured line speaks of, if it speaks of one."""
    program = record.process.partition(".")[0]
    if record.text is None:
        return None
    if record.stream == "stderr":
        return _traced(record, record.text)
    kind, pattern = _LINES.get((program, record.stream), (None, None))
    match = pattern.fullmatch(record.text) if pattern else None
    return _message(record, kind, int(match[1]), record.t) if kind and match else None


def number(line: str) -> int:
    """Return the number of the message in a line; -1, which no message has, if it has none."""
    match = re.match(r"\d{1,18}(?= , |$)", line)
    return int(match[0]) if match else -1


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
