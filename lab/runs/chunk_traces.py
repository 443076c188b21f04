"""What a chunk of stderr holds: traces for the lab, and lines for people."""

from collections.abc import Sequence

from lab.core.records import Record
from lab.core.trace import PLAIN, Trace, parse_line, trace_of
from lab.runs.lines import Lines


def traces_and_said(lines: Lines) -> tuple[list[int | Trace], Sequence[Record]]:
    """Return the traces in lines of stderr, in their order, and the lines that are none.

    Of a plain trace that a message was received only the number is there, and a plain one that a
    message was sent is left out: those are many, and nobody needs more of them while a run goes on.
    """
    data = lines.piece.data
    if data is None or b"{" not in data:
        return [], lines
    found = PLAIN.findall(data)
    traces: list[int | Trace] = []
    odd = len(lines) - len(found)
    for _, _, event, number, other in found:
        if event == b"received":
            traces.append(int(number.strip(b'"')))
        elif other:
            trace = parse_line(other)
            odd += trace is None
            traces += [] if trace is None else [trace]
    return traces, [record for record in lines if trace_of(record) is None] if odd else []
