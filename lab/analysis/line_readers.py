"""Readers that find messages and values in lines, and access for claims to other lines."""

import functools
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from pushpull.analysis.chunk_patterns import pattern_of_line
from pushpull.analysis.messages import Found
from pushpull.core.errors import LabError
from pushpull.core.records import HANDED_ON, Message, Record
from pushpull.core.trace import PLAIN, parse_line, trace_of
from pushpull.runs.lines import Lines

if TYPE_CHECKING:
    from pushpull.analysis.digit_lines import Shape

_MOST_DIGITS = 18  # of a message's number
_MUCH = 16 * 1024  # bytes: of so many it is worth while to ask NumPy
NO_MESSAGE = -1
_TRACES = {"sent": "dealt", "received": "taken"}
_PRINTED = {"dealt": "sent", "taken": "received"}


class Reading(NamedTuple):
    """What one line says: values by their names, and its message's number; -1 for none."""

    values: Mapping[str, float]
    number: int = NO_MESSAGE


def lines(
    *,
    sent: Mapping[str, str] | None = None,
    received: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
) -> "LineReader":
    """Return a reader of lines for `@experiment(reads=...)`.

    Arguments:
        sent: for each program that sends (its file name without extension), a regular expression
            that must match the whole line. Its group called `number`, or else its first group, is
            the message's number. Each other group that has a name is a value:
            `r"reply (\\d+) after (?P<latency_ms>[\\d.]+) ms"`. In a pipeline, name the programs in
            the order in which a message passes them.
        received: the same for each program that receives. A line that a program's expressions in
            both match is about a message that it received and sent on.
        values: the same for lines that are not about a message sent or received: only groups with
            a name count, and `number` may be left out.

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
    others = {program: _with_a_name(pattern) for program, pattern in (values or {}).items()}
    return LineReader(patterns, others, programs=tuple(sent))


class LineReader:
    """Reads lines by patterns: one by one when called with a Record, or many at once."""

    def __init__(
        self,
        patterns: Mapping[str, Sequence[tuple[str, re.Pattern[str]]]],
        others: Mapping[str, re.Pattern[str]] | None = None,
        programs: Sequence[str] = (),
    ) -> None:
        """Take each program's patterns; `programs` are those that send, in a message's order."""
        self.programs = programs
        self._patterns = patterns
        self._others = others or {}
        self._of = functools.cache(self._patterns_of)
        self._valued_of = functools.cache(self._make_valued)
        self._scanner_of = functools.cache(self._make_scanner)
        self._shapes_of = functools.cache(self._make_shapes)

    def has_values(self, process: str) -> bool:
        """Return whether lines of a process may have values."""
        return any(names for _, _, names in self._valued_of(process))

    def values(self, record: Record) -> Reading:
        """Return the values in a line of stdout: by the first pattern that matches it."""
        text = record.shown or ""
        for pattern, number, names in self._valued_of(record.process):
            if match := pattern.fullmatch(text):
                found = {name: _real(match[name]) for name in names if match[name] is not None}
                about = _whole(match[number]) if number else None
                return Reading(found, NO_MESSAGE if about is None else about)
        return Reading({})

    def __call__(self, record: Record) -> Message | None:
        """Return the message that a line speaks of, if any."""
        text = record.shown
        if text is None:
            return None
        if record.stream == "stderr":
            traced = _traced(record, text)
            return traced if traced and self.trusts(record.process, traced.kind) else None
        patterns = self._of(record.process)
        found = [(kind, match) for kind, one in patterns if (match := one.fullmatch(text))]
        if not found:
            return None
        kind = _together(kind for kind, _ in found)
        return _message(record, kind, _number_in(found[0][1]), record.t)

    def speaks(self, process: str) -> bool:
        """Return whether a process's lines can be about messages."""
        return bool(self._of(process))

    def receives(self, process: str) -> bool:
        """Return whether a process may receive; any may if no program has a pattern for that."""
        kinds = {"received", HANDED_ON}
        known = any(kind in kinds for one in self._patterns.values() for kind, _ in one)
        return not known or any(kind in kinds for kind, _ in self._of(process))

    def hands_on(self, process: str) -> bool:
        """Return whether a process may hand messages on: it sends and receives."""
        kinds = {kind for kind, _ in self._of(process)}
        return HANDED_ON in kinds or kinds >= {"sent", "received"}

    def trusts(self, process: str, traced: str) -> bool:
        """Return whether a process can have `dealt` or `taken` messages, as its traces say.

        One whose lines say that it only receives has sent nothing, whatever it traces.
        """
        kinds = {kind for kind, _ in self._of(process)}
        return not kinds or HANDED_ON in kinds or _PRINTED[traced] in kinds

    def scan(self, lines: Lines) -> Sequence[Found] | None:
        """Return what the lines of a chunk say of messages, as a call for each would.

        None where that can't be told of all at once.
        """
        data = lines.piece.data
        if data is None:
            return [] if lines.piece.is_unreadable else None
        if lines.stream == "stderr":
            found = _scan_traces(data, lines.n)
            return [one for one in found if self.trusts(lines.process, one.kind)]
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

    def _make_valued(self, process: str) -> list[tuple[re.Pattern[str], int, Sequence[str]]]:
        """Return each pattern with the place of its number, 0 for none, and its values' names."""
        patterns = [(pattern, _place(pattern)) for _, pattern in self._of(process)]
        patterns += [
            (pattern, pattern.groupindex.get("number", 0))
            for program, pattern in self._others.items()
            if is_life(process, program)
        ]
        return [
            (pattern, number, [name for name, k in pattern.groupindex.items() if k != number])
            for pattern, number in patterns
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
        parts = []
        for kind, one in self._of(process):
            if (pattern := pattern_of_line(one)) is None:
                return None
            parts.append(_Part(kind, pattern, _place(one) - 1))
        return _Scanner(parts)


def _scan_much(data: bytes, n: int, kind: str, shapes: "Sequence[Shape]") -> Sequence[Found] | None:
    """Return what very many lines say of messages, the first line being number `n`."""
    from pushpull.analysis import digit_lines, vectors

    found = digit_lines.numbers(data if data.endswith(b"\n") else data + b"\n", shapes)
    if found is None:
        return None
    numbers, lines = found
    return [Found(kind, numbers, vectors.as_array(vectors.places_of(lines) + n))]


class _Part(NamedTuple):
    """A pattern that finds lines of one kind; the message's number is in the group at `place`."""

    kind: str
    pattern: re.Pattern[bytes]
    place: int

    def scan(self, data: bytes, n: int) -> tuple[list[bytes], Sequence[int]]:
        """Return the messages' numbers as they are printed, and the numbers of their lines."""
        found = self.pattern.findall(data.removesuffix(b"\n"))
        ns = _numbers_of_lines(self.pattern, data, n, len(found))
        is_one = self.pattern.groups == 1
        return found if is_one else [groups[self.place] for groups in found], ns


class _Scanner(NamedTuple):
    """The patterns of a process, for many lines at once."""

    parts: Sequence[_Part]

    def scan(self, data: bytes, n: int) -> Sequence[Found] | None:
        """Return what lines say of messages, the first line being number `n` of its stream."""
        if len(self.parts) == 1:
            texts, ns = self.parts[0].scan(data, n)
            numbers = _numbers(texts)
            return None if numbers is None else [Found(self.parts[0].kind, numbers, ns)]
        lines: dict[int, tuple[bytes, list[str]]] = {}
        for part in self.parts:
            for text, line in zip(*part.scan(data, n), strict=True):
                lines.setdefault(line, (text, []))[1].append(part.kind)
        ns = sorted(lines)
        numbers = _numbers([lines[line][0] for line in ns])
        if numbers is None:
            return None
        kinds = (_together(lines[line][1]) for line in ns)
        runs = groupby(zip(kinds, numbers, ns, strict=True), itemgetter(0))
        return [Found(kind, *list(zip(*run, strict=True))[1:]) for kind, run in runs]


def _together(kinds: Iterable[str]) -> str:
    """Return what kind of message a line speaks of that patterns of these kinds match."""
    first, *others = kinds
    return HANDED_ON if {first, *others} >= {"sent", "received"} else first


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
    ns = _numbers_of_lines(PLAIN, data, n, len(rows))
    found: list[Found] = []
    at = 0
    for event, group in groupby(rows, lambda row: b"" if row[-1] else row[2]):
        some = list(group)
        of_lines = ns[at : at + len(some)]
        at += len(some)
        found += [_plain(event, some, of_lines)] if event else _odd(some, of_lines)
    return found


def _plain(event: bytes, rows: Sequence[tuple[bytes, ...]], ns: Sequence[int]) -> Found:
    ts, ms, _, numbers, *_ = zip(*rows, strict=True)
    return Found(
        _TRACES[event.decode()],
        numbers=list(map(int, b" ".join(numbers).replace(b'"', b"").split())),
        ns=ns,
        ts=list(map(float, ts)),
        ms=[float(m or b"nan") for m in ms],
    )


def _odd(rows: Sequence[tuple[bytes, ...]], ns: Sequence[int]) -> Iterator[Found]:
    """Give the messages of traces that have another form than the lab's own programs give them."""
    for (*_, line), n in zip(rows, ns, strict=True):
        trace = parse_line(line) if b'"number"' in line else None
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


def _with_a_name(pattern: str) -> re.Pattern[str]:
    compiled = re.compile(pattern)
    if not compiled.groupindex.keys() - {"number"}:
        cure = r"name the value's group, as in (?P<bytes>\d+)"
        raise ValueError(f"the pattern {pattern!r} has no group with a name: {cure}")
    return compiled


def _place(pattern: re.Pattern[str]) -> int:
    """Return which group of a message's pattern is the number, from 1."""
    return pattern.groupindex.get("number", 1)


def _number_in(match: re.Match[str]) -> int:
    number = _whole(match[_place(match.re)])
    if number is None:
        what = f"the group of {match.re.pattern!r} finds no number in {match.string!r}"
        raise LabError(what, hint=rf"write (\d+) for the number, of at most {_MOST_DIGITS} digits")
    return number


def _whole(text: str | None) -> int | None:
    is_one = text and text.isdecimal() and len(text) <= _MOST_DIGITS  # of any script, as \d is
    return int(text) if text and is_one else None


def _real(text: str) -> float:
    """Return the number that a text is; NaN if it is none."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


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


def is_life(process: str, program: str) -> bool:
    """Return whether a process is a life of a program: `count`, `count.2`, `count.3`."""
    name, dot, number = process.rpartition(".")
    return process == program or (name == program and dot == "." and number.isdigit())


class _Nothing:
    def __call__(self, _: Record) -> Message | None:
        return None

    def scan(self, _: Lines) -> Sequence[Found]:
        return []


# Reads no line as a message: for programs of which nobody said how.
nothing = _Nothing()
