"""The output of a run's machines, side by side; and how two runs differ."""

import re
from collections import Counter, defaultdict, deque
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pushpull.analysis.messages import Columns, kinds_of
from pushpull.core.records import Event, Message, Reader, Record
from pushpull.runs.store import StoredRun
from pushpull.runs.stored_records import sources_of, times_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message where it was sent and where it arrived, a single line, or an event.

    Attributes:
        t: seconds since the run's first record.
        records: one or two lines; the sender's comes first.
        note: for a message, `nobody` if no machine printed it, `again` if it had arrived before,
            `never sent` if no machine printed that it sent it.
        event: an event, instead of records.
        number: the number of the message that the records are about, if any.
    """

    t: float
    records: tuple[Record, ...] = ()
    note: str = ""
    event: Event | None = None
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """The machines of a run, senders first, and its rows ordered by time.

    `sends` says whether any program reported what it sent; otherwise `never sent` is nothing odd.
    """

    machines: tuple[str, ...]
    rows: tuple[Row, ...]
    sends: bool


def side_by_side(run: StoredRun, reader: Reader) -> SideBySide:
    """Arrange the logs of a run's machines side by side.

    Arguments:
        run: any run, even one that was interrupted or printed nothing.
        reader: returns the message that a line is about, if any.
    """
    printed = [record for record in run.records if record.stream == "stdout"]
    messages = [reader(record) for record in printed]
    start = min(times_of(run.records) if run.records else (e.t for e in run.events), default=0.0)
    hop_of = _hops(run, messages, reader)
    rows = [line.row(start) for line in _paired(printed, messages, hop_of)]
    rows += [Row(t=event.t - start, event=event) for event in run.events]
    rows.sort(key=lambda row: row.t)  # stable: an event comes after the line that led to it
    senders: list[set[str]] = [set() for _ in range(1 + max(hop_of.values(), default=0))]
    for message in filter(None, messages):
        if "sent" in kinds_of(message.kind):
            senders[hop_of.get((message.machine, message.process, "sent"), 0)].add(message.machine)
    machines = ordered_machines(run, senders)
    return SideBySide(machines=machines, rows=tuple(rows), sends=any(senders))


def ordered_machines(run: StoredRun, senders: Sequence[Container[str]]) -> tuple[str, ...]:
    """Return the machines of a run: the senders of each hop, then all others.

    Of these, host-2 precedes host-10.
    """

    def rank(name: str) -> int:
        return next((k for k, there in enumerate(senders) if name in there), len(senders))

    return tuple(sorted(_machines(run), key=lambda name: (rank(name), natural(name))))


@dataclass(slots=True)
class _Line:
    """A line whose counterpart may still be found."""

    record: Record
    note: str = ""
    arrived: Record | None = None
    number: int | None = None

    def row(self, start: float) -> Row:
        records = (self.record, self.arrived) if self.arrived else (self.record,)
        t = min(r.t for r in records) - start
        return Row(t=t, records=records, note=self.note, number=self.number)


_HopOf = Mapping[tuple[str, str, str], int]  # by machine, process and kind; absent in most runs


def _hops(run: StoredRun, messages: Sequence[Message | None], reader: Reader) -> _HopOf:
    """Return the hops of a pipeline, if a process of the run sends and receives."""
    lives: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for message in filter(None, messages):
        for kind in kinds_of(message.kind):
            lives[kind].add((message.machine, message.process))
    if not lives["sent"] & lives["received"]:
        return {}
    from pushpull.analysis import hops  # imports NumPy

    return hops.numbers_of(hops.hops_of(Columns(run.records, reader)))


def _paired(
    printed: Sequence[Record], messages: Sequence[Message | None], hop_of: _HopOf
) -> list[_Line]:
    """Match each arrival to its send on its hop; one that is sent twice may arrive twice."""
    every = list(zip(printed, messages, strict=True))
    lines = [_Line(record) for record, message in every if message is None]
    on_their_way: defaultdict[tuple[int, int], deque[_Line]] = defaultdict(deque)
    told = [
        (record, message.number, kind, hop_of.get((message.machine, message.process, kind), 0))
        for record, message in every
        if message is not None
        for kind in kinds_of(message.kind)
    ]
    # Sends go first: a receiver's line may have been captured before the sender's.
    for record, number, kind, hop in told:
        if kind == "sent":
            lines.append(_Line(record, note="nobody", number=number))
            on_their_way[number, hop].append(lines[-1])
    known = set(on_their_way)
    for record, number, kind, hop in told:
        if kind == "sent":
            continue
        if on_their_way[number, hop]:
            line = on_their_way[number, hop].popleft()
            line.arrived, line.note = record, ""
        else:
            note = "again" if (number, hop) in known else "never sent"
            lines.append(_Line(record, note=note, number=number))
            known.add((number, hop))
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDifference:
    """How a process's output differs between two runs; `first` is None where it does not.

    Attributes:
        lines: the number of lines in the one run and in the other.
        first: the first difference: its line number, from 1, and both lines; None past the end.
    """

    machine: str
    process: str
    lines: tuple[int, int]
    first: tuple[int, str | None, str | None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """How two runs differ, ignoring times.

    Attributes:
        one, other: the names of the runs.
        logs: each process that both runs have, machine by machine.
        only_one, only_other: machines, or processes of a machine, that only one run has.
        moved: lines that another machine printed in the other run, by (machine, other machine).
        missing, added: lines that only the one run, or only the other, has on any machine.
        verdicts: each claim whose verdicts differ, with both; "" if a run has none.
    """

    one: str
    other: str
    logs: tuple[LogDifference, ...]
    only_one: tuple[str, ...]
    only_other: tuple[str, ...]
    moved: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    missing: tuple[str, ...]
    added: tuple[str, ...]
    verdicts: tuple[tuple[str, str, str], ...]

    @property
    def verdicts_differ(self) -> bool:
        """Whether any verdicts differ; nothing else affects the exit code."""
        return bool(self.verdicts)


def differences(one: StoredRun, other: StoredRun) -> Differences:
    """Compare what two runs printed on stdout, line by line, ignoring times."""
    logs, others = _logs(one), _logs(other)
    moved, missing, added = _moves(_by_machine(logs), _by_machine(others))
    both = sorted(logs.keys() & others.keys(), key=_place)
    return Differences(
        one=one.path.name,
        other=other.path.name,
        logs=tuple(_log_difference(key, logs[key], others[key]) for key in both),
        only_one=_only(one, logs, other, others),
        only_other=_only(other, others, one, logs),
        moved=moved,
        missing=missing,
        added=added,
        verdicts=tuple(_verdict_differences(one, other)),
    )


_Logs = dict[tuple[str, str], list[str]]  # by machine and process: the lines without times
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)\b)?"
_CLOCK = r"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# Times in the formats of ISO 8601, loggers, ctime, syslog and web servers; and times of day.
_WRITTEN = re.compile(
    r"(?<![\w.:/-])(?:"
    rf"\d{{4}}[-/]\d\d[-/]\d\d[T ](?:{_CLOCK}|\d\d:\d\d(?!:))"
    rf"|\d{{8}}T\d{{6}}(?:[.,]\d+)?"
    rf"|\d\d/{_MONTH}/\d{{4}}:{_CLOCK}"
    rf"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? )?{_MONTH} [ \d]?\d {_CLOCK}(?: \d{{4}})?"
    rf"|{_CLOCK}"
    rf"){_ZONE}(?![\w:/]|[.,-]\d)"
)
# A number that may be a UNIX time. With a fraction, and in the years 2001 to 2286, it is one.
_NUMBER = re.compile(r"(?<![\w.])(\d{10}|\d{13}|\d{16}|\d{19})(\.\d+)?(?![\w]|\.\d)")
_DAY_S = 86_400
# The recognised formats, for the reader of a comparison.
TIMES = (
    "UNIX times, ISO 8601 (2026-11-24 08:18:20,123 as well), ctime's, syslog's and web servers'"
    " times, and times of day (08:18:20)"
)


def without_times(text: str, t: float) -> str:
    """Return a line with `<time>` in place of each time in it.

    A whole number may be anything, so it counts as a time (in seconds, milli-, micro- or
    nanoseconds) only within a day of `t`, the UNIX time at which the line was captured.
    """

    def unix(found: re.Match[str]) -> str:
        digits, fraction = found.groups()
        seconds = int(digits) / 10 ** (len(digits) - 10)
        sure = len(digits) == 10 and fraction
        return "<time>" if sure or abs(seconds - t) < _DAY_S else found[0]

    return _WRITTEN.sub("<time>", _NUMBER.sub(unix, text))


def _logs(run: StoredRun) -> _Logs:
    logs: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for record in run.records:
        if record.stream == "stdout":
            text = f"<{record.length} bytes>" if record.text is None else record.text
            logs[record.machine, record.process].append(without_times(text, record.t))
    return dict(logs)


def _by_machine(logs: _Logs) -> dict[str, Counter[str]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (machine, _), lines in logs.items():
        counts[machine].update(lines)
    return counts


def _log_difference(key: tuple[str, str], lines: list[str], others: list[str]) -> LogDifference:
    shorter = min(len(lines), len(others))
    k = next((k for k in range(shorter) if lines[k] != others[k]), shorter)
    first = None
    if k < max(len(lines), len(others)):
        first = (k + 1, _at(lines, k), _at(others, k))
    machine, process = key
    counts = (len(lines), len(others))
    return LogDifference(machine=machine, process=process, lines=counts, first=first)


def _at(lines: list[str], k: int) -> str | None:
    return lines[k] if k < len(lines) else None


_Moves = tuple[dict[tuple[str, str], list[str]], tuple[str, ...], tuple[str, ...]]


def _moves(one: dict[str, Counter[str]], other: dict[str, Counter[str]]) -> _Moves:
    """Return the lines that moved to another machine, that are missing, and that are new."""
    extra: defaultdict[str, deque[str]] = defaultdict(deque)
    for machine, lines in other.items():
        for line in (lines - one.get(machine, Counter())).elements():
            extra[line].append(machine)
    moved: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    missing = []
    for machine, lines in one.items():
        for line in (lines - other.get(machine, Counter())).elements():
            if machines := extra.get(line):
                moved[machine, machines.popleft()].append(line)
            else:
                missing.append(line)
    added = [line for line, machines in extra.items() for _ in machines]
    return dict(moved), tuple(missing), tuple(added)


def _only(run: StoredRun, logs: _Logs, other: StoredRun, others: _Logs) -> tuple[str, ...]:
    """Return the machines that only `run` has, and its processes on machines that both have."""
    machines = _machines(run) - (known := _machines(other))
    processes = [key for key in sorted(logs.keys() - others.keys(), key=_place) if key[0] in known]
    return (*sorted(machines, key=natural), *(f"{p} on {m}" for m, p in processes))


def _verdict_differences(one: StoredRun, other: StoredRun) -> Iterable[tuple[str, str, str]]:
    verdicts, others = ({v["id"]: v["verdict"] for v in run.verdicts or ()} for run in (one, other))
    for claim in verdicts | others:
        before, after = verdicts.get(claim, ""), others.get(claim, "")
        if before != after:
            yield claim, before, after


def _machines(run: StoredRun) -> set[str]:
    names = {machine for machine, _, _ in sources_of(run.records)}
    return names | {event.machine for event in run.events if event.machine}


def _place(key: tuple[str, str]) -> tuple[list[str | int], list[str | int]]:
    return natural(key[0]), natural(key[1])


def natural(name: str) -> list[str | int]:
    """Return a key for sorting that puts host-2 before host-10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
