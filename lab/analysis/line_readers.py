"""Readers that turn lines into messages, and access for claims to other lines."""

import contextlib
import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from pushpull.analysis.chunk_patterns import pattern_of_lines
from pushpull.analysis.messages import Found
from pushpull.core.errors import LabError
from pushpull.core.records import HANDED_ON, Message, Reader, Record
from pushpull.core.trace import PLAIN, parse_line, trace_of
from pushpull.runs.lines import Lines

if TYPE_CHECKING:
    from pushpull.analysis.digit_lines import Shape
    from pushpull.analysis.history import Run

_MOST_DIGITS = 18  # of a message's number
_MUCH = 64 * 1024  # bytes: of so many it is worth while to ask NumPy
_TRACES = {"sent": "dealt", "received": "taken"}


def lines(
    *, sent: Mapping[str, str] | None = None, received: Mapping[str, str] | None = None
) -> "LineReader":
    """Return a reader of lines for `@experiment(reads=...)`.

    Arguments:
        sent: for each program that sends (its file name without extension), a regular expression
            that must match the whole line; its first group is the message's number.
        received: the same for each program that receives. A program that prints one line for a
            message that it received and sent on has the same expression in both.

    The reader also reads traces on stderr (see docs/program-protocol.md).
    """
    patterns: dict[str, list[tuple[str, re.Pattern[str]]]] = defaultdict(list)
    sent, received = sent or {}, received or {}
    both = {program for program in sent if sent[program] == received.get(program)}
    for kind, by_program in (("sent", sent), ("received", received)):
        for program, pattern in by_program.items():
            if program not in both:
                patterns[program].append((kind, _with_a_group(pattern)))
    for program in both:
        patterns[program].append((HANDED_ON, _with_a_group(sent[program])))
    return LineReader(patterns)


class LineReader:
    """Reads lines by patterns: one by one when called with a Record, or many at once."""

    def __init__(self, patterns: Mapping[str, Sequence[tuple[str, re.Pattern[str]]]]) -> None:
        self._patterns = patterns
        self._of = functools.cache(self._patterns_of)
        self._scanner_of = functools.cache(self._make_scanner)
        self._shapes_of = functools.cache(self._make_shapes)

    def __call__(self, record: Record) -> Message | None:
        """Return the message that a line speaks of, if any."""
        text = record.shown
        if text is None:
            return None
        if record.stream == "stderr":
            return _traced(record, text)
        for kind, pattern in self._of(record.process):
            if match := pattern.fullmatch(text):
                return _message(record, kind, _number(match), record.t)
        return None

    def hands_on(self, process: str) -> bool:
        """Return whether a process may hand messages on: it sends and receives."""
        return bool({kind for kind, _ in self._of(process)} & {HANDED_ON}) or (
            {kind for kind, _ in self._of(process)} >= {"sent", "received"}
        )

    def scan(self, lines: Lines) -> Sequence[Found] | None:
        """Return what the lines of a chunk say of messages, as a call for each would.

        None where that can't be told of all at once.
        """
        data = lines.piece.data
        if data is None:
            return [] if lines.piece.is_unreadable else None
        if lines.stream == "stderr":
            return _scan_traces(data, lines.n)
        scanner = self._scanner_of(lines.process)
        if not self._of(lines.process):
            return []
        if scanner is None or not data.isascii() or b"\r" in data:
            return None
        if len(data) >= _MUCH and (shape := self._shapes_of(lines.process)):
            return _scan_much(data, lines.n, *shape)
        return scanner.scan(data, lines.n)

    def _patterns_of(self, process: str) -> list[tuple[str, re.Pattern[str]]]:
        return [
            one
            for program in self._patterns
            if is_life(process, program)
            for one in self._patterns[program]
        ]

    def _make_shapes(self, process: str) -> "tuple[str, Sequence[Shape]] | None":
        """Return the kind and the shapes of a process's lines, if they can be found by these."""
        from pushpull.analysis import digit_lines

        patterns = self._of(process)
        if len(patterns) != 1:
            return None
        kind, pattern = patterns[0]
        found = digit_lines.shapes(pattern.pattern)
        return (kind, found) if found else None

    def _make_scanner(self, process: str) -> "_Scanner | None":
        patterns = self._of(process)
        pattern = pattern_of_lines([pattern for _, pattern in patterns])
        if pattern is None:
            return None
        before = accumulate((one.groups for _, one in patterns), initial=0)
        kinds = [kind for kind, _ in patterns]
        return _Scanner(pattern, tuple(zip(before, kinds, strict=False)))


def _scan_much(data: bytes, n: int, kind: str, shapes: "Sequence[Shape]") -> Sequence[Found] | None:
    """Return what very many lines say of messages, the first line being number `n`."""
    from pushpull.analysis import digit_lines, vectors

    found = digit_lines.numbers(data if data.endswith(b"\n") else data + b"\n", shapes)
    if found is None:
        return None
    numbers, lines = found
    return [Found(kind, numbers, vectors.as_array(vectors.places_of(lines) + n))]


class _Scanner(NamedTuple):
    """One pattern for many lines; `kinds` has the place of each kind's number in its groups."""

    pattern: re.Pattern[bytes]
    kinds: tuple[tuple[int, str], ...]

    def scan(self, data: bytes, n: int) -> Sequence[Found] | None:
        """Return what lines say of messages, the first line being number `n` of its stream."""
        found = self.pattern.findall(data.removesuffix(b"\n"))
        ns = _numbers_of_lines(self.pattern, data, n, len(found))
        if len(self.kinds) == 1:
            (place, kind), *_ = self.kinds
            texts = found if self.pattern.groups == 1 else [groups[place] for groups in found]
            numbers = _numbers(texts)
            return None if numbers is None else [Found(kind, numbers, ns)]
        told = [next(((k, g[p]) for p, k in self.kinds if g[p]), ("", b"")) for g in found]
        numbers = _numbers([text for _, text in told])
        if numbers is None:
            return None
        kinds = (kind for kind, _ in told)
        runs = groupby(zip(kinds, numbers, ns, strict=True), itemgetter(0))
        return [Found(kind, *list(zip(*run, strict=True))[1:]) for kind, run in runs]


def _numbers_of_lines(pattern: re.Pattern[bytes], data: bytes, n: int, found: int) -> Sequence[int]:
    """Return the numbers of the lines that a pattern finds, the first line's being `n`."""
    if found == _count(data):
        return range(n, n + found)
    ns, at = [], 0
    for match in pattern.finditer(data.removesuffix(b"\n")):
        n += data.count(b"\n", at, match.start())
        at = match.start()
        ns.append(n)
    return ns


def _count(data: bytes) -> int:
    """Return how many lines these are; the last one may be unfinished."""
    return data.count(b"\n") + (not data.endswith(b"\n"))


def _scan_traces(data: bytes, n: int) -> Sequence[Found]:
    """Return what lines of stderr trace of messages, the first line being number `n`."""
    if b'"number"' not in data:
        return []
    rows = PLAIN.findall(data)
    if rows and len(rows) == _count(data):
        ts, ms, events, numbers, _, others = zip(*rows, strict=True)
        if not any(others) and len(set(events)) == 1:
            return [
                Found(
                    _TRACES[events[0].decode()],
                    numbers=list(map(int, b" ".join(numbers).replace(b'"', b"").split())),
                    ns=range(n, n + len(rows)),
                    ts=list(map(float, ts)),
                    ms=[float(m or b"nan") for m in ms],
                )
            ]
    return list(_traces_by_line(data, n))


def _traces_by_line(data: bytes, n: int) -> Iterator[Found]:
    at = 0
    for match in PLAIN.finditer(data):
        n += data.count(b"\n", at, match.start())
        at = match.start()
        trace = parse_line(match[0]) if b'"number"' in match[0] else None
        if trace is not None and trace.number is not None and trace.event in _TRACES:
            m = math.nan if trace.at.m is None else trace.at.m
            yield Found(_TRACES[trace.event], (trace.number,), (n,), (trace.at.t,), (m,))


def _numbers(texts: Sequence[bytes]) -> list[int] | None:
    """Return whole numbers as `_number` does; None where one is none."""
    if not texts:
        return []
    if not b"".join(texts).isdigit() or not all(texts) or max(map(len, texts)) > _MOST_DIGITS:
        return None
    return list(map(int, texts))


def _with_a_group(pattern: str) -> re.Pattern[str]:
    compiled = re.compile(pattern)
    if not compiled.groups:
        raise ValueError(f"the pattern {pattern!r} has no group: put the number in parentheses")
    return compiled


def _number(match: re.Match[str]) -> int:
    if not re.fullmatch(rf"\d{{1,{_MOST_DIGITS}}}", match[1] or "", re.ASCII):
        what = f"the group of {match.re.pattern!r} finds no number in {match.string!r}"
        raise LabError(what, hint=r"write (\d+) for the number")
    return int(match[1])


def _traced(record: Record, text: str) -> Message | None:
    if '"number"' not in text:  # skips most lines without parsing them
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
    """Return the lines that all lives of a program printed on stdout, in the order of capture."""
    return [
        record
        for record in run.records
        if record.stream == "stdout" and is_life(record.process, program)
    ]


def is_life(process: str, program: str) -> bool:
    """Return whether a process is a life of a program: `count`, `count.2`, `count.3`."""
    name, dot, number = process.rpartition(".")
    return process == program or (name == program and dot == "." and number.isdigit())


def unread(records: Iterable[Record], reads: Reader) -> str:
    """Return a sentence if messages were printed only on stderr; else an empty text.

    Messages must be lines on stdout, but Python's logging, for example, writes to stderr.
    """
    places: dict[str, int] = {}
    for record in records:
        with contextlib.suppress(Exception):  # the experiment's own code, on unsuitable lines
            if reads(record) is not None:
                return ""
            if record.stream == "stderr" and reads(replace(record, stream="stdout")) is not None:
                place = f"{record.process} on {record.machine}"
                places[place] = places.get(place, 0) + 1
    if not places:
        return ""
    found = ", ".join(f"{place} ({number})" for place, number in places.items())
    return f"No message was seen. Lines on stderr look like messages but belong on stdout: {found}."


class _Nothing:
    def __call__(self, _: Record) -> Message | None:
        return None

    def scan(self, _: Lines) -> Sequence[Found]:
        return []


# Reads no line as a message: for programs of which nobody said how.
nothing = _Nothing()
