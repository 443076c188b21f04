"""What a chunk of stderr holds: traces for the lab, and lines for people."""

from collections.abc import Callable, Iterator, Sequence

from pushpull.core.records import Record, shown
from pushpull.core.trace import PLAIN, VALUED, Trace, parse_line, trace_of
from pushpull.runs.lines import Lines, text_of
from pushpull.runs.stored_records import StoredRecords


def traces_and_said(lines: Lines) -> tuple[list[int | Trace], Sequence[Record]]:
    """Return the traces in lines of stderr, in their order, and the lines that are none.

    Of a plain trace that a message was received only the number is there, and a plain one that a
    message was sent, or of values alone, is left out: those are many, and nobody needs more of them
    while a run goes on.
    """
    data = lines.piece.data
    if data is None:
        found_one = trace_of(lines[0])
        return ([], lines) if found_one is None else ([found_one], [])
    if b"{" not in data:
        return [], lines
    found = PLAIN.findall(data)
    traces: list[int | Trace] = []
    odd = len(lines) - len(found)
    for _, _, event, number, _, other in found:
        if other and not _is_values(other):
            trace = parse_line(other)
            odd += trace is None
            traces += [] if trace is None else [trace]
        elif event == b"received" and not other:
            traces.append(int(number.strip(b'"')))
    return traces, [record for record in lines if trace_of(record) is None] if odd else []


def _is_values(line: bytes) -> bool:
    """Return whether a line is a plain trace of values alone."""
    found = VALUED.fullmatch(line) if b'"values"' in line else None
    return found is not None and not found[6] and found[3] == b"values"


def traced_texts(
    records: Sequence[Record], may_send: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[int, str]]:
    """Give the texts of messages that programs trace as sent, each with the message's number.

    Those of processes that may not send don't count.
    """
    if not isinstance(records, StoredRecords):
        for record in records:
            if '"text"' in (record.text or "") and may_send(
                record.process
            ):  # most lines, and cheaper than to parse them
                yield from _sent_text(trace_of(record))
        return
    for lines in records.batches():
        data = lines.piece.data
        if not may_send(lines.process):
            continue
        if data is None:  # a long line, that may end in a trace
            yield from _sent_text(trace_of(lines[0]))
            continue
        if lines.stream == "stdout" or b'"text"' not in data:
            continue
        for _, _, event, number, text, other in PLAIN.findall(data):
            if b'"text"' in other:
                yield from _sent_text(parse_line(other))
            elif text and not other and event == b"sent":
                yield int(number.strip(b'"')), text.decode()


def _sent_text(trace: Trace | None) -> Iterator[tuple[int, str]]:
    if trace and trace.event == "sent" and trace.number is not None:
        yield trace.number, str(trace.details.get("text"))


def shown_texts(records: Sequence[Record]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Give what a terminal shows of the lines on stdout, with their machine and their process.

    A last line without its end is left out of a run that is stored as logs.
    """
    if not isinstance(records, StoredRecords):
        for record in records:
            if record.stream == "stdout" and record.shown is not None:
                yield record.machine, record.process, (record.shown,)
        return
    for lines in records.batches():
        data = lines.piece.data
        if lines.stream == "stdout" and lines.piece.text is not None:
            yield lines.machine, lines.process, (lines.piece.text,)
        elif lines.stream == "stdout" and data is not None:
            texts = text_of(data).split("\n")[:-1]
            yield lines.machine, lines.process, [*map(shown, texts)] if b"\r" in data else texts
