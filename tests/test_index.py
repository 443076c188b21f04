"""The index of a log: when its bytes came; torn, behind its log, ahead of it, or none at all."""

import math
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import LEAST

from pushpull.core.errors import LabError
from pushpull.core.records import Record
from pushpull.runs import records_file
from pushpull.runs.capture import Capture
from pushpull.runs.directory import RunDirectory
from pushpull.runs.index import SIZE
from pushpull.runs.jsonl import record_lines
from pushpull.runs.store import load
from pushpull.runs.stored_records import too_long

INVENTORY = {"inventory": {"pull-1": {"role": "puller", "address": "-"}}}


class Made:
    """A run whose streams were fed, with a clock that counts its readings."""

    def __init__(self, root: Path) -> None:
        self.run = RunDirectory.create(root, "capture", LEAST | INVENTORY)
        self.path = self.run.path
        self.log = self.path / "pull-1/pull.log"
        self.index = self.path / "pull-1/pull.log.index"
        self._now = 0.0
        self.capture = Capture(self.run, lambda lines: None, self._tick)

    def feed(self, *chunks: bytes, stream: str = "stdout", close: bool = False) -> None:
        opened = self.capture.open("pull-1", "pull", stream)
        for chunk in chunks:
            opened.feed(chunk)
        if close:
            opened.close()

    def read(self) -> list[tuple[int, str | None, float]]:
        return [(record.n, record.text, record.t) for record in load(self.path).records]

    def _tick(self) -> float:
        self._now += 1.0
        return self._now


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    made = Made(tmp_path)
    yield made
    made.run.close()


def test_what_is_in_an_index(made: Made) -> None:
    made.feed(b"a\nb", b"b\n", close=True)
    entries = list(struct.iter_unpack("<Qd", made.index.read_bytes()))
    assert entries == [(3, 1.0), (5, 2.0), (5, 3.0)]  # the last one says that it was closed
    assert made.read() == [(0, "a", 1.0), (1, "bb", 2.0)]


def test_an_unfinished_line_is_a_line_when_its_stream_was_closed(made: Made) -> None:
    made.feed(b"a\nhalf")
    assert made.read() == [(0, "a", 1.0)]
    made.feed(b"said", stream="stderr", close=True)
    assert made.read() == [(0, "a", 1.0), (0, "said", 3.0)]


def test_a_torn_end_is_no_mistake(made: Made) -> None:
    made.feed(b"a\n", b"b\n", b"c\n")
    made.run.finish("finished")
    whole = made.index.read_bytes()
    for size in range(len(whole) + 1):
        made.index.write_bytes(whole[:size])
        assert [text for _, text, _ in made.read()] == ["a", "b", "c"][: size // SIZE]


def test_an_index_that_is_behind_its_log(made: Made) -> None:
    """The writer was killed between the two: nobody has seen those bytes, only the log has them."""
    made.feed(b"a\n")
    with made.log.open("ab") as log:
        log.write(b"b\nc")
    assert made.read() == [(0, "a", 1.0)]


def test_an_index_that_is_ahead_of_its_log(made: Made) -> None:
    """So it is only after a power cut, or where somebody has cut the log."""
    made.feed(b"a\n", b"b\nc\n", b"d\n", close=True)
    made.log.write_bytes(b"a\nb\nc")
    made.run.close()
    assert load(made.path).state == "died"
    assert made.read() == [(0, "a", 1.0), (1, "b", 2.0), (2, "c", 4.0)]
    description = (made.path / "run.json").read_text()
    (made.path / "run.json").write_text(description.replace('"running"', '"finished"'))
    with pytest.raises(LabError, match="index mentions 8") as caught:
        load(made.path)
    assert caught.value.where == str(made.log)


def packed(*entries: tuple[int, float]) -> bytes:
    return b"".join(struct.pack("<Qd", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("content", "at"),
    [
        (packed((2, 1.0), (1, 2.0), (6, 3.0)), "entry 2"),
        (packed((2, 1.0), (2, 2.0), (6, 3.0)), "entry 2"),  # closed, and went on
        (packed((0, 1.0), (6, 3.0)), "entry 1"),
        (packed((2, 1.0), (6, 0.5)), "entry 2"),
        (packed((2, math.nan)), "entry 1"),
        (packed((2, 1.0), (4, math.inf)), "entry 2"),
        (packed((2, 1.0), (4, -0.5)), "entry 2"),
        (packed((2, 1e300)), "entry 1"),
        (bytes(1024), "entry 1"),
    ],
)
def test_an_index_that_no_run_leaves_is_named(made: Made, content: bytes, at: str) -> None:
    made.feed(b"a\n", b"b\n", b"c\n")
    made.run.finish("finished")
    made.index.write_bytes(content)
    with pytest.raises(LabError, match=at) as caught:
        load(made.path)
    assert caught.value.where == str(made.index)


def test_a_line_of_which_the_disk_did_not_take_all_is_none(made: Made) -> None:
    made.feed(b"a\nb", b"c\nd\ne")
    made.index.write_bytes(packed((3, -1.0), (7, 2.0), (8, -3.0), (8, -4.0), (8, 5.0)))
    with made.log.open("ab") as log:
        log.write(b"f")
    assert made.read() == [(0, "a", 1.0), (1, "d", 2.0)]


@pytest.mark.parametrize("size", [70_000, 3 * 1024**2])
def test_of_a_long_line_stays_what_a_terminal_shows(made: Made, size: int) -> None:
    made.feed(b"0\n" + b"x" * size, b"\r12\r\n", b"y" * size + b"\n3\n", close=True)
    records = load(made.path).records
    assert [record.text for record in records] == ["0", "12", None, "3"]
    assert records[1].length == size + 4
    assert list(too_long(records)) == [("pull-1", "pull", "stdout")]


@pytest.mark.parametrize("name", ["pull-1/.x.log.index", "pull-1/x.index", "pull-1/x y.log.index"])
def test_an_index_of_no_log(made: Made, name: str) -> None:
    made.feed(b"a\n")
    (made.path / name).write_bytes(b"")
    with pytest.raises(LabError, match="its name is not an index name"):
        load(made.path)


def test_a_machine_that_the_run_does_not_have(made: Made) -> None:
    made.feed(b"a\n")
    made.log.parent.rename(made.path / "pull-9")
    with pytest.raises(LabError, match="no machine 'pull-9'"):
        load(made.path)


def test_a_log_that_is_missing(made: Made) -> None:
    made.feed(b"a\n")
    made.log.unlink()
    with pytest.raises(LabError, match=r"pull\.log"):
        load(made.path)


def test_files_of_the_users_own_are_no_indexes(made: Made) -> None:
    made.feed(b"a\n")
    for folder in ("_experiment", "pull-1/files"):
        (made.path / folder).mkdir()
        (made.path / folder / "x.index").write_text("mine")
    assert made.read() == [(0, "a", 1.0)]


# Whole lines, halves and many at once, from several streams.
chunks = st.lists(
    st.sampled_from(
        [b"a\n", b"half", b"\n", b"1\n2\n3\n", b"\xff\n", b"x" * 70_000, "é\r\n".encode()]
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=50)
@given(stdout=chunks, stderr=chunks)
def test_a_sequence_of_records(
    tmp_path_factory: pytest.TempPathFactory, stdout: list[bytes], stderr: list[bytes]
) -> None:
    """It is one of all lines by time, of one time as the streams are called."""
    made = Made(tmp_path_factory.mktemp("runs"))
    opened = [made.capture.open("pull-1", "pull", stream) for stream in ("stdout", "stderr")]
    for k in range(8):
        for stream, given_ in zip(opened, (stdout, stderr), strict=True):
            for chunk in given_[k : k + 1]:
                stream.feed(chunk)
    for stream in opened:
        stream.close()
    made.run.finish("finished")
    records = load(made.path).records
    whole = list(records)
    assert all(isinstance(record, Record) for record in whole)
    assert whole == sorted(whole, key=lambda record: record.t)
    assert len(records) == len(whole)
    assert [records[k] for k in range(-len(whole), len(whole))] == whole + whole
    for start, stop in pairwise(range(0, len(whole) + 2, 2)):
        assert records[start:stop] == tuple(whole[start:stop])
    assert records[::-1] == tuple(whole[::-1])
    assert records == tuple(whole)
    assert records != tuple(whole[1:]) or not whole
    with pytest.raises(IndexError):
        records[len(whole)]
    file = records_file.write(load(made.path))
    assert file.read_bytes() == record_lines(whole)


def test_a_log_is_read_piece_by_piece(made: Made) -> None:
    """Each piece of a log of some megabytes is where it was, whatever was read before."""
    line = b"x" * 1000 + b"\n"
    made.feed(*[b"%d " % k + line * 50 for k in range(100)], close=True)
    records = load(made.path).records
    assert len(records) == 5000
    for k in (4999, 0, 2500, 50, 4950, 49):
        before = b"%d " % (k // 50) if k % 50 == 0 else b""
        assert records[k].text == (before + line[:-1]).decode()
        assert records[k].n == k
