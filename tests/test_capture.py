"""Any bytes, cut into any chunks, are kept byte for byte and become the same lines."""

import io
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import LEAST

from pushpull.core.errors import LabError
from pushpull.runs.capture import Capture, CaptureStream
from pushpull.runs.directory import RunDirectory
from pushpull.runs.lines import LONGEST_TEXT, Line, Lines, LineSplitter
from pushpull.runs.store import StoredRun, load

# Mostly what lines are made of, so that hypothesis does not have to stumble upon newlines.
outputs = st.lists(
    st.sampled_from([b"\n", b"\n\n", b"\r\n", b"\r", b"7 , 1.5\n", b"\xc3\xa9", b"\xff\xfe", b"\0"])
    | st.binary(max_size=20)
    # Around the limit of a text, on both sides.
    | st.integers(LONGEST_TEXT - 2, LONGEST_TEXT + 2).map(lambda size: b"x" * size),
    max_size=12,
).map(b"".join)  # fmt: skip


@st.composite
def chunked(draw: st.DrawFn) -> list[bytes]:
    """Draw an output and the chunks in which it comes."""
    data = draw(outputs)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]


def split(chunks: list[bytes]) -> list[Line]:
    splitter = LineSplitter()
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)] + splitter.close()
    assert all(piece.count == len(list(piece.lines())) for piece in pieces)
    return [line for piece in pieces for line in piece.lines()]


def expected(data: bytes) -> list[Line]:
    """Say what the lines are, by another way than the splitter's."""
    lines, offset = [], 0
    for line in io.BytesIO(data):  # cuts at b"\n" alone
        piece = line.removesuffix(b"\n")
        lines.append(Line(offset, len(piece), text_of(piece)))
        offset += len(line)
    return lines


def text_of(line: bytes) -> str | None:
    """Say what is kept of a line: all, or what a terminal shows in the end, if not too long."""
    if len(line) > LONGEST_TEXT:
        line = [b"", *filter(None, line.split(b"\r"))][-1]
    return line.decode("utf-8", "backslashreplace") if len(line) <= LONGEST_TEXT else None


@given(chunked())
def test_lines_do_not_depend_on_the_chunks(chunks: list[bytes]) -> None:
    assert split(chunks) == expected(b"".join(chunks))


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\n\nb\n", ["a", "", "b"]),
        (b"a\r\nb\rc\n", ["a\r", "b\rc"]),  # only \n ends a line
        (b"a\x0bb\x0cc\xe2\x80\xa8d\n", ["a\x0bb\x0cc\u2028d"]),  # and none of Unicode's others
        (b"whole\nhalf", ["whole", "half"]),
        (b"\xff\xfe\n\xed\xa0\x80\n", ["\\xff\\xfe", "\\xed\\xa0\\x80"]),
        (b"\x1b[31mred\x00\n", ["\x1b[31mred\x00"]),
    ],
)
def test_what_a_line_is(data: bytes, texts: list[str]) -> None:
    assert [line.text for line in split([data])] == texts
    assert [line.text for line in split([bytes([byte]) for byte in data])] == texts


def test_an_endless_line_takes_no_memory() -> None:
    splitter = LineSplitter()
    chunk = b"x" * 32768
    tracemalloc.start()
    try:
        pieces = [piece for _ in range(32_768) for piece in splitter.feed(chunk)]  # 1 GiB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * LONGEST_TEXT
    assert pieces == []
    lines = [line for piece in splitter.feed(b"\nnext\n") for line in piece.lines()]
    assert lines == [Line(0, 2**30, None), Line(2**30 + 1, 4, "next")]


BAR = b"\r".join(b"[%6d/50000]" % k for k in range(50_000))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (BAR, "[ 49999/50000]"),
        (BAR + b"\r", "[ 49999/50000]"),
        (BAR + b"\r\r\r17\r\r", "17"),
        (b"\r" * 200_000 + b"18", "18"),
        (b"x" * 70_000 + b"\r19", "19"),
        (b"x" * 70_000 + b"\r", None),
        (b"20\r" + b"x" * 70_000, None),
        (b"x" * 65_537, None),
        (b"\r" + b"x" * 65_536, "x" * 65_536),
        (b"\r" * 70_000, ""),
    ],
)
@pytest.mark.parametrize("chunk", [1_000, 65_536, 10**9])
def test_of_a_long_line_stays_what_a_terminal_shows(
    line: bytes, text: str | None, chunk: int
) -> None:
    for end in (b"", b"\nnext\n"):
        data = b"first\n" + line + end
        chunks = [data[k : k + chunk] for k in range(0, len(data), chunk)]
        found = split(chunks)
        assert found[1] == Line(6, len(line), text)
        assert [one.text for one in found[2:]] == ["next"] * bool(end)


class Captured:
    """A run directory with a capture whose clock counts its readings."""

    def __init__(self, root: Path) -> None:
        self.run = RunDirectory.create(root, "capture", LEAST)
        self.batches: list[Lines] = []
        self.now = 0.0
        self.capture = Capture(self.run, self.batches.append, self._tick)

    def _tick(self) -> float:
        self.now += 1.0
        return self.now

    def log(self, name: str) -> bytes:
        return (self.run.path / name).read_bytes()

    def load(self) -> StoredRun:
        return load(self.run.path)


@pytest.fixture
def captured(tmp_path: Path) -> Iterator[Captured]:
    captured = Captured(tmp_path)
    yield captured
    captured.run.close()


@settings(deadline=None)  # the disk may be busy
@given(stdout=chunked(), stderr=chunked())
@pytest.mark.slow
def test_nothing_that_was_printed_is_lost(
    tmp_path_factory: pytest.TempPathFactory, stdout: list[bytes], stderr: list[bytes]
) -> None:
    captured = Captured(tmp_path_factory.mktemp("runs"))
    printed = {"stdout": stdout, "stderr": stderr}
    for stream, chunks in printed.items():
        open_stream = captured.capture.open("pull-1", "pull", stream)
        for chunk in chunks:
            open_stream.feed(chunk)
        open_stream.close()
        assert open_stream.bytes == sum(map(len, chunks))
    captured.run.finish("finished")
    stored = captured.load()
    assert stored.records == tuple(record for batch in captured.batches for record in batch)
    for stream, name in (("stdout", "pull-1/pull.log"), ("stderr", "pull-1/pull.err")):
        log = captured.log(name)
        assert log == b"".join(printed[stream])
        records = [record for record in stored.records if record.stream == stream]
        assert [record.n for record in records] == list(range(len(records)))
        pieces = [log[record.offset : record.offset + record.length] for record in records]
        assert b"\n".join(pieces) == log.removesuffix(b"\n") or log == b"\n" * len(pieces)
        for record, piece in zip(records, pieces, strict=True):
            assert record.text == text_of(piece)


def test_a_line_has_the_time_of_the_chunk_that_completes_it(captured: Captured) -> None:
    stream = captured.capture.open("pull-1", "pull", "stdout")
    for chunk in (b"0\n1", b"1", b"\n2\n3", b""):
        stream.feed(chunk)
    stream.close()
    times = [(record.text, record.t) for batch in captured.batches for record in batch]
    assert times == [("0", 1.0), ("11", 3.0), ("2", 3.0), ("3", 5.0)]
    assert [len(batch) for batch in captured.batches] == [1, 2, 1]  # a batch a chunk, none empty


def test_triggers_see_what_is_on_the_disk_already(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "capture", LEAST)
    seen = []

    def look(lines: Lines) -> None:
        seen.append(((run.path / "pull-1/pull.log").read_bytes(), load(run.path).records))
        assert seen[-1][1][-1] == lines[-1]

    Capture(run, look).open("pull-1", "pull", "stdout").feed(b"7 , 1.5\nhalf")
    run.close()
    assert [log for log, _ in seen] == [b"7 , 1.5\nhalf"]


def test_a_trigger_that_fails_costs_no_output(captured: Captured) -> None:
    def fail(lines: Lines) -> None:
        raise RuntimeError("a trigger's own bug")

    stream = Capture(captured.run, fail).open("pull-1", "pull", "stdout")
    for chunk in (b"0\n1", b"1\n"):
        with pytest.raises(RuntimeError):
            stream.feed(chunk)
    assert captured.log("pull-1/pull.log") == b"0\n11\n"
    assert [(r.n, r.offset, r.text) for r in captured.load().records] == [(0, 0, "0"), (1, 2, "11")]


def test_a_second_life_has_its_own_log(captured: Captured) -> None:
    for process in ("pull", "pull.2"):
        stream = captured.capture.open("pull-1", process, "stdout")
        stream.feed(process.encode())
        stream.close()
    assert captured.log("pull-1/pull.log") == b"pull"
    assert captured.log("pull-1/pull.2.log") == b"pull.2"
    with pytest.raises(FileExistsError):
        captured.capture.open("pull-1", "pull", "stdout")


@pytest.mark.slow
def test_streams_are_fed_in_parallel(captured: Captured) -> None:
    count = 2000
    together = threading.Barrier(8)

    def feed(stream: CaptureStream) -> None:
        together.wait()
        for n in range(count):
            stream.feed(b"%d\n" % n)
        stream.close()

    threads = [
        threading.Thread(target=feed, args=[captured.capture.open(f"pull-{k}", "pull", "stdout")])
        for k in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = captured.load().records
    assert len(records) == 8 * count
    for k in range(8):
        mine = [record for record in records if record.machine == f"pull-{k}"]
        assert [record.n for record in mine] == list(range(count))
        assert [record.text for record in mine] == [str(n) for n in range(count)]


@pytest.mark.parametrize(
    ("printed", "lines", "tail"),
    [
        (b"", 3, ""),
        (b"a\nb\nc\n", 2, "b\nc"),
        (b"a\nb\nc\nhalf", 2, "c\nhalf"),
        (b"a\n", 5, "a"),
        (b"\xff\n", 1, "\\xff"),
        (b"x" * 100_000, 1, "x" * 8192),
    ],
)
def test_the_tail_for_an_error_message(
    captured: Captured, printed: bytes, lines: int, tail: str
) -> None:
    stream = captured.capture.open("pull-1", "pull", "stderr")
    stream.feed(printed)
    assert stream.tail(lines) == tail
    stream.close()
    stream.close()
    assert stream.tail(lines) == tail


class FullDisk(io.FileIO):
    """A file on a disk that has room for some bytes, then none."""

    room = 5

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = super().write(data[: self.room])
        self.room -= taken
        return taken


def fill(path: Path, mode: str) -> io.FileIO:
    """Open a log on a disk that is nearly full; its index lies on another."""
    return FullDisk(path, mode) if path.suffix == ".log" else io.FileIO(path, mode)


def test_offsets_stay_true_when_the_disk_takes_only_a_part(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.runs.directory.io", SimpleNamespace(FileIO=fill))
    stream = captured.capture.open("pull-1", "pull", "stdout")
    with pytest.raises(LabError, match="No space left") as caught:
        stream.feed(b"abc\ndefgh\n")
    assert caught.value.where.endswith("pull-1/pull.log")
    assert "Free some space" in caught.value.hint
    disk: FullDisk = stream._log  # type: ignore[assignment]
    disk.room = 100
    stream.feed(b"i\nj\n")
    stream.close()
    log = captured.log("pull-1/pull.log")
    assert log == b"abc\ndi\nj\n"
    places = [(r.offset, r.length, r.text, r.t) for r in captured.load().records]
    # "di" is no line that was printed
    assert places == [(0, 3, "abc", 1.0), (7, 1, "j", 2.0)]
    seen = [record for batch in captured.batches for record in batch]
    assert captured.load().records == tuple(seen)


@pytest.mark.parametrize("whole", [True, False])
def test_half_a_number_is_no_line_where_the_rest_was_lost(captured: Captured, whole: bool) -> None:
    stream = captured.capture.open("pull-1", "pull", "stdout")
    stream.feed(b"11\n12")
    stream.close(whole=whole)
    assert captured.log("pull-1/pull.log") == b"11\n12"
    assert [record.text for record in captured.load().records] == ["11", *["12"] * whole]


def test_an_index_that_was_not_taken_whole_is_made_up_for(
    captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the log gets its place in the index, and its time, when there is room again."""
    monkeypatch.setattr("pushpull.runs.index.io", SimpleNamespace(FileIO=FullDisk))
    stream = captured.capture.open("pull-1", "pull", "stdout")
    disk: FullDisk = stream._index._file  # type: ignore[assignment]
    disk.room = 16 + 5
    stream.feed(b"0\n")
    with pytest.raises(LabError, match="No space left") as caught:
        stream.feed(b"1\n2\n")
    assert caught.value.where.endswith("pull-1/pull.log.index")
    assert [len(batch) for batch in captured.batches] == [1]  # nobody saw what has no time
    assert [record.text for record in captured.load().records] == ["0"]
    disk.room = 100
    stream.feed(b"3\n")
    stream.close()
    assert len(captured.log("pull-1/pull.log.index")) == 4 * 16
    assert [(r.n, r.text, r.t) for r in captured.load().records] == [
        (0, "0", 1.0),
        (1, "1", 2.0),
        (2, "2", 2.0),
        (3, "3", 3.0),
    ]
    assert [(batch.n, batch.t) for batch in captured.batches] == [(0, 1.0), (3, 3.0)]


def test_names_that_are_not_file_names_are_refused(captured: Captured) -> None:
    opens: list[Callable[[], object]] = [
        lambda: captured.capture.open("../pull", "pull", "stdout"),
        lambda: captured.capture.open("pull-1", "../../pull", "stdout"),
        lambda: captured.capture.open("pull-1", "x" * 300, "stdout"),
        lambda: captured.capture.open("pull-1", ".hidden", "stdout"),
        lambda: captured.capture.open("pull-1", "pull\n", "stdout"),
    ]
    for attempt in opens:
        with pytest.raises(LabError, match="can't be the name"):
            attempt()
    assert sorted(path.name for path in captured.run.path.iterdir()) == [
        "events.jsonl",
        "run.json",
    ]
