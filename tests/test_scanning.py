"""Many lines read at once say what a call for each line says, whatever the lines and patterns."""

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from captured_lines import captured
from hypothesis import given
from hypothesis import strategies as st
from made_runs import LEAST
from story import EXPERIMENTS, RECORDED
from test_trace import HOSTILE, SOUND, fuzzed

from pushpull.analysis import digit_lines, line_readers, vectors
from pushpull.analysis.chunk_patterns import pattern_of_line
from pushpull.analysis.line_readers import LineReader, lines, nothing
from pushpull.analysis.messages import Columns
from pushpull.core.errors import LabError
from pushpull.core.records import Message, Reader, Record
from pushpull.core.trace import Trace, trace_of
from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.runs.capture import Capture
from pushpull.runs.chunk_traces import traces_and_said
from pushpull.runs.directory import RunDirectory
from pushpull.runs.lines import Lines
from pushpull.runs.store import StoredRun, load
from pushpull.runs.stored_records import StoredRecords

PATTERNS = [
    r"(\d+)",
    r"(\d{1,18}) , \d+(?:\.\d+)?",
    r"^(\d+) .*$",
    r"got (?:message )?(\d+)",
    r"\D*(\d+)",
    r"[^,]*,(\d+)",
    r"(\d+)\W?",
    r"(\d+|x)",
    r"(?P<n>\d+) (a|b)?",
    r"(\d*)",
    r"(a)?(\d+)",
    r"[^(?P<n>a]*(\d+)[(?P<n>]*",
    r"(?P<n>\d+) ?(?P<x>\w?)",
    r"(?P<x>\d*) ?,? ?(?P<number>\d+)(?:\.\d+)?",
    # These are read line by line.
    r"(\d+)\s*",
    r"(?i)GOT (\d+)",
    r"(?=\d)(\d+)",
    r"(?s:.*?)(\d+)",
    r"é?(\d+)",
]
OUTPUT = st.lists(
    st.sampled_from(
        ["0", "7", "12 , 1.5", "12 , 1.5 ", "got 3", "got message 4", "x", "", " ", ",5", "a,6",
         "8 a", "9 b", "8 \r", "[#]\r10", "é11", "Got 1", "1" * 19, "٣", "\x0b7", "7\x1c", "a12"]
    )
    | st.text(st.characters(max_codepoint=0x250, exclude_characters="\n"), max_size=6),
    min_size=1,
    max_size=12,
)  # fmt: skip


def by_calls(found: Lines, reads: Reader) -> list[Message] | type[LabError]:
    try:
        return [message for record in found if (message := reads(record)) is not None]
    except LabError:
        return LabError


def by_scan(found: Lines, reads: LineReader) -> list[Message] | type[LabError]:
    scanned = reads.scan(found)
    if scanned is None:
        return by_calls(found, reads)
    return [
        Message(
            kind=one.kind,
            number=number,
            machine=found.machine,
            process=found.process,
            n=n,
            t=found.t if one.ts is None else one.ts[k],
            m=one.ms[k] if one.ms and one.ms[k] == one.ms[k] else None,
        )
        for one in scanned
        for k, (number, n) in enumerate(zip(one.numbers, one.ns, strict=True))
    ]


@given(OUTPUT, st.sampled_from(PATTERNS), st.none() | st.sampled_from(PATTERNS), st.booleans())
def test_lines_of_stdout(said: list[str], sent: str, received: str | None, ended: bool) -> None:
    reads = lines(sent={"pull": sent}, received={"pull": received} if received else {})
    data = "\n".join(said).encode() + b"\n" * ended
    found = captured(data or b"\n", n=5, t=2.5)
    assert by_scan(found, reads) == by_calls(found, reads)


SIMPLE = [
    r"(\d+)",
    r"(\d{1,18})",
    r"(\d{1,3}) , \d+(?:\.\d+)?",
    r"got (\d+)",
    r"\d+ a(\d+)",
    r"\[#\](\d+)",
    r"(?:\.\d+)?,(\d+)",
]


@pytest.mark.parametrize("pattern", SIMPLE)
def test_patterns_that_need_no_regular_expression(pattern: str) -> None:
    assert digit_lines.shapes(pattern)


@given(OUTPUT, st.sampled_from([*SIMPLE, *PATTERNS]), st.booleans())
def test_very_many_lines(said: list[str], pattern: str, ended: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_readers, "_MUCH", 0)
        reads = lines(sent={"pull": pattern})
        data = "\n".join(said).encode() + b"\n" * ended
        found = captured(data or b"\n", n=5, t=2.5)
        assert by_scan(found, reads) == by_calls(found, reads)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_which_patterns_are_for_many_lines(pattern: str) -> None:
    one_by_one = PATTERNS.index(pattern) >= PATTERNS.index(r"(\d+)\s*")
    assert (pattern_of_line(re.compile(pattern)) is None) == one_by_one


def test_a_program_that_nobody_reads_is_not_looked_at() -> None:
    reads = lines(sent={"push": r"(\d+)"})
    assert reads.scan(captured([str(n) for n in range(9)])) == []
    assert nothing.scan(captured(["1"], ("push", "push"))) == []
    # A further life is the same program.
    (found,) = reads.scan(captured(["1", "2"], ("push", "push.2"))) or ()
    assert (found.kind, list(found.numbers)) == ("sent", [1, 2])


PLAIN = [
    json.dumps({"t": 1795508000.25, "m": 17.5, "event": "sent", "number": 3, "text": "3 , 1.5"}),
    json.dumps({"t": 1795508000.5, "event": "received", "number": "12"}),
    json.dumps({"t": 1795508000.5, "m": 3.1415926535897, "event": "received", "number": 0}),
    json.dumps({"t": 1.0, "m": 2.0, "event": "received", "number": "007"}) + "\r",
    json.dumps({"number": 0, "text": "0 , 17.5", "m": 41361.2, "t": 1795822056.5, "event": "sent"}),
    json.dumps({"event": "received", "number": "9", "t": 1.5}, separators=(",", ":")),
]
NEARLY = [
    '{"t": 1.0, "m": 2.0, "event": "received", "number": 007}',
    '{"t": 1.0, "m": 2.0, "event": "received", "number": "7}',
    '{"t": 01.0, "m": 2.0, "event": "received", "number": 7}',
    '{"t": 1.0, "event": "received", "number": 7} x',
    '{"t": 1.0, "event": "received", "number": 7, "number": 8}',
    '{"t": 1.0, "event": "sent", "number": 7, "text": "a\\u0041"}',
    '{"t": 1.0, "event": "sent", "number": 7, "text": "\u20ac"}',
    '{"t": 1.0, "event": "sent", "number": 7, "text": "\xff"}',
    '{"event": "received", "number": 7}',
    '{"t": 1.0, "number": 7}',
    '{"t": 1.0, "event": "received", "t": 2.0, "number": 7, "m": 3.0}',
    '{"t": 1.0,, "event": "received", "number": 7}',
    '{"t": 1.0, "event": "received", "number": 7,}',
    '{"t": 1.0, "event": "received", "number": 7, "event": "dies"}',
    '{"t": 1.0,  "event":  "received", "number": 7}',
    '{"t": 1.0, "event": "received", "number": 7, "text": "a"}',
    'x\r{"t": 1.0, "event": "received", "number": 7}',
    '{"t": 1.0, "event": "received", "number": 7}\rx',
    '{"t": 99999999999.5, "event": "received", "number": 7}',
    '{"t": 1.0, "event": "received", "number": 9999999999999999999}',
    '{"t": 1.0, "event": "received"}',
    '{"t": 1.0, "event": "sent", "number": 7, "text": "' + "x" * 9000 + '"}',
    "a line for people",
    "",
]
STDERR = st.lists(st.sampled_from([*PLAIN, *NEARLY, *SOUND, *HOSTILE]), min_size=1, max_size=9)


@given(STDERR)
def test_traces_on_stderr(said: list[str]) -> None:
    found = captured(said, stream="stderr", n=3)
    reads = lines(sent={})
    assert sorted(by_scan(found, reads), key=lambda m: m.n) == by_calls(found, reads)  # type: ignore[arg-type, union-attr]
    same_as_one_by_one(found)


@pytest.mark.parametrize("text", PLAIN)
def test_plain_traces_in_a_row(text: str) -> None:
    found = captured([text] * 50, stream="stderr", n=3)
    (scanned,) = lines(sent={}).scan(found) or ()
    assert len(scanned.numbers) == 50
    assert by_scan(found, lines(sent={})) == by_calls(found, lines(sent={}))
    same_as_one_by_one(found)


@pytest.mark.parametrize("seed", range(3))
def test_lines_that_are_nearly_traces(seed: int) -> None:
    data = "\n".join(fuzzed(seed)).encode(errors="surrogatepass")
    for start in range(0, len(data), 5000):
        chunk = data[start : start + 5000]
        same_as_one_by_one(captured(chunk, stream="stderr"))


def same_as_one_by_one(found: Lines) -> None:
    """Of receipts the number counts; what is sent, or a mere value, may be left out where plain."""
    rest = ("sent", "values")
    traces, said = traces_and_said(found)
    one_by_one = [trace_of(record) for record in found]
    expected = [number_or_trace(one) for one in one_by_one if one and one.event not in rest]
    assert [
        number_or_trace(one) for one in traces if isinstance(one, int) or one.event not in rest
    ] == expected
    assert list(said) == [r for r, t in zip(found, one_by_one, strict=True) if t is None]


def number_or_trace(one: int | Trace) -> int | Trace:
    if isinstance(one, Trace) and one.event == "received" and one.number is not None:
        return one.number
    return one


# --- Runs as they are written now, made of those that were recorded. ------------------------------


def written_now(run: StoredRun, root: Path) -> StoredRun:
    """The same lines at the same times, by way of the capture: chunks are what came at one time."""
    name = str(run.description["experiment"])
    directory = RunDirectory.create(root, name, LEAST)
    now = [0.0]
    capture = Capture(directory, lambda found: None, lambda: now[0])
    chunks: dict[tuple[str, str, str], dict[float, list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for record in run.records:
        source = (record.machine, record.process, record.stream)
        chunks[source][record.t].append(record.text or "")
    for source, of_time in chunks.items():
        stream = capture.open(*source)
        for t, texts in sorted(of_time.items()):
            now[0] = t
            stream.feed("".join(f"{text}\n" for text in texts).encode())
    described = {k: v for k, v in run.description.items() if k != "state"}
    directory.update(**described | {"format": 2})
    for event in run.events:
        directory.event(event)
    for packets in run.path.glob("*/lab.pcap"):
        shutil.copy(packets, directory.path / packets.parent.name)
    directory.finish("finished")
    return load(directory.path)


ALL = sorted(
    path
    for folder in ("recorded", "recorded_more", "recorded_leaving")
    for path in (RECORDED.parent / folder).iterdir()
    if (path / "run.json").is_file()
)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)
def test_verdicts_are_the_same_by_columns_and_by_records(path: Path, tmp_path: Path) -> None:
    run = load(path)
    experiment = catalogue.load(str(run.description["experiment"]))
    now = written_now(run, tmp_path)
    assert isinstance(now.records, StoredRecords)
    assert not isinstance(run.records, StoredRecords)
    before = judge(run, experiment, partial=False)
    assert judge(now, experiment, partial=False) == before
    reads = experiment.reads or nothing
    for kind in ("sent", "received", "dealt", "taken"):
        one, other = (
            Columns(now.records, reads).of(kind),
            Columns(tuple(now.records), reads).of(kind),
        )
        assert list(one) == list(other)


def test_there_are_recorded_runs() -> None:
    assert len(ALL) > 30
    assert EXPERIMENTS


@pytest.mark.parametrize("make", [lambda n: n, lambda n: n + 10**30], ids=["small", "huge"])
def test_a_reader_of_the_users_own_is_called_for_each_line(make: Callable[[int], int]) -> None:
    seen = []

    def reads(record: Record) -> Message | None:
        seen.append(record.text)
        if record.stream == "stderr":
            return None
        return Message(kind="odd", number=make(record.n), machine="else", process="where", n=0, t=1)

    columns = Columns(tuple(captured(["a", "b", "c"])), reads)
    assert seen == ["a", "b", "c"]
    found = columns.of("odd")
    assert [message.number for message in found] == [make(0), make(1), make(2)]
    assert found[-1].machine == "else"
    assert found[1:] == list(found)[1:]
    assert found == list(found)


@pytest.mark.parametrize("first", [0, -3, 2**40, 10**20])
@pytest.mark.parametrize("column", [[0, 1, 2], [0, 1, 3, 7], [3, 1, 3, 0], [0, 1000], []])
def test_numbers_are_found_in_a_column(column: list[int], first: int) -> None:
    numbers = [first + number for number in column]
    index = vectors.Index(vectors.column(numbers))
    wanted = [first + number for number in (0, 1, 2, 3, 7, 8, 1000, -1)]
    there, places = index.find(vectors.column(wanted))
    assert there.tolist() == [number in numbers for number in wanted]
    assert [index.unique[k] for k in places[there]] == [n for n in wanted if n in numbers]
    assert [index.place(n) >= 0 for n in wanted] == there.tolist()


@given(st.lists(st.integers(0, 10**18 - 1), min_size=1, max_size=40))
def test_numbers_of_any_length_are_read_from_digits(numbers: list[int]) -> None:
    data = "".join(f"{number} , 1.5\n" for number in numbers).encode()
    found = digit_lines.numbers(data, digit_lines.shapes(r"(\d+) , \d+(?:\.\d+)?") or ())
    assert found is not None
    assert (list(found[0]), found[1].all()) == (numbers, True)
