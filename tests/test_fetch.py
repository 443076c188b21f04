"""Fetching what programs left: everything permitted, and nothing that a machine merely claims."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushpull.core.errors import LabError
from pushpull.machines import fetch
from pushpull.machines.agent import collector
from pushpull.machines.providers.base import Access

KNOWN: dict[str, Path] = {}


class Machine:
    """Says what it likes."""

    name = "pull-1"
    access = Access(
        provider="fake",
        machine="pull-1",
        roles=("puller",),
        address="192.168.0.162",
        host="127.0.0.1",
        port=None,
        user=None,
        work="/nowhere",
        python="python3",
    )

    def __init__(self, *said: bytes) -> None:
        self.said = b"".join(said)

    def path(self, *names: str) -> str:
        return "/".join(["/nowhere", *names])

    @contextlib.contextmanager
    def ask(self, *_: object) -> Iterator[io.BytesIO]:
        yield io.BytesIO(self.said)


def file(name: str, content: bytes, size: int | None = None) -> bytes:
    about = {"name": name, "size": len(content) if size is None else size}
    return json.dumps(about).encode() + b"\n" + content


END = b"{}\n"


def left(tmp_path: Path, *said: bytes) -> fetch.Fetched:
    return fetch.left(Machine(*said), "run", KNOWN, tmp_path / "here" / "files")  # type: ignore[arg-type]


def found(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def test_files_keep_their_names(tmp_path: Path) -> None:
    fetched = left(tmp_path, file("a b.csv", b"1\n{}\n"), file("out/ü", b""), END)
    assert fetched == fetch.Fetched(("a b.csv", "out/ü"), {})
    assert found(tmp_path) == {"here/files/a b.csv": "1\n{}\n", "here/files/out/ü": ""}


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/etc/out",
        "",
        ".",
        "a//b",
        "a/",
        "back\\slash",
        "esc\x1b]0;title\x07",
        "line\nend",
        "\udcff",
        "right\u202eto-left",
        "x" * 201,
        "/".join("x" * 9),
        ".profile",
        "a/.hidden/b",
        "nul\0",
    ],
)
def test_a_name_outside_the_folder_is_left_out(tmp_path: Path, name: str) -> None:
    fetched = left(tmp_path, file(name, b"bad"), file("good", b"good"), END)
    assert found(tmp_path) == {"here/files/good": "good"}
    (told,) = fetched.left_out
    assert told.isprintable()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no JSON\n",
        b"[" * 5000,
        b'{"name": "a"}\n' + END,
        b'{"name": 1, "size": 1}\n' + END,
        b'{"name": "a", "size": -1}\n' + END,
        b'{"name": "a", "size": 1e3}\n' + END,
        file("a", b"short", 6),
        file("a", b"", fetch.MOST_BYTES + 1),
        file("a", b"", 10**30),
        b'{"name": "' + b"x" * 100_000,
        b"".join(file(str(n), b"") for n in range(3 * fetch.MOST_FILES)) + END,
        b'{"name": "a", "left_out": ""}\n' * (3 * fetch.MOST_FILES),
    ],
    ids=range(13),
)
def test_an_answer_that_is_something_else_is_refused(tmp_path: Path, said: bytes) -> None:
    with pytest.raises(LabError) as raised:
        left(tmp_path, said)
    assert raised.value.where == "machine pull-1"
    assert "can't fetch what programs left" in raised.value.what
    assert not list(tmp_path.rglob(".*"))


def test_a_file_in_place_of_a_folder_or_the_reverse_is_left_out(tmp_path: Path) -> None:
    twice = [file("a", b"1"), file("a/b", b"2"), file("c/d", b"3"), file("c", b"4"), END]
    assert list(left(tmp_path, *twice).left_out) == ["a/b", "c"]
    assert found(tmp_path) == {"here/files/a": "1", "here/files/c/d": "3"}


def test_one_file_is_the_requested_one(tmp_path: Path) -> None:
    into = tmp_path / "files"
    machine = Machine(file("results.csv", b"1"), END)
    assert fetch.one(machine, "run", "results.csv", into).read_text() == "1"  # type: ignore[arg-type]
    with pytest.raises(LabError, match=r"other can't be fetched: the machine did not send it"):
        fetch.one(machine, "run", "other", into)  # type: ignore[arg-type]
    for path in ("../x", "/etc/passwd", ""):
        with pytest.raises(LabError, match="can't be fetched"):
            fetch.one(machine, "run", path, into)  # type: ignore[arg-type]
    assert found(into) == {"results.csv": "1"}


# --- What a machine gives. ------------------------------------------------------------------------


def collected(folder: Path, known: dict[str, int], **limits: object) -> tuple[dict, dict]:
    """Return what the collector gives of a folder, and what it leaves out."""
    order = {"folder": str(folder), "known": known, "since": str(folder.parent / "since")}
    order |= {"only": None, "files": 100, "bytes": 1000, **limits}
    said = subprocess.run(
        [sys.executable, "-IS", collector.__file__],
        input=json.dumps(order).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    stream, given, left_out = io.BytesIO(said.stdout), {}, {}
    while told := json.loads(stream.readline()):
        if "size" in told:
            given[told["name"]] = stream.read(told["size"]).decode()
        else:
            left_out[told["name"]] = told["left_out"]
    assert not stream.read()
    return given, left_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where programs ran; `same` and `changed` were deployed."""
    made = tmp_path / "files"
    made.mkdir()
    (made / "same").write_text("same")
    (made / "changed").write_text("before")
    for path in (made / "same", made / "changed"):
        os.utime(path, (1, 1))
    (tmp_path / "since").touch()
    os.utime(tmp_path / "since", (2, 2))
    return made


DEPLOYED = {"same": 4, "changed": 6}


def test_new_and_changed_files_are_listed(folder: Path) -> None:
    (folder / "changed").write_text("after!")
    (folder / "out").mkdir()
    (folder / "out" / "new").write_text("new")
    assert collected(folder, DEPLOYED) == ({"changed": "after!", "out/new": "new"}, {})
    assert collected(folder, DEPLOYED, only="same") == ({"same": "same"}, {})


def test_nothing_but_regular_files_is_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path / "elsewhere")
    (folder / ".hidden").write_text("hidden")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("x")
    os.mkfifo(folder / "fifo")
    given, left_out = collected(folder, DEPLOYED)
    assert given == {}
    assert set(left_out) == {"link", "fifo"}
    assert collected(folder, {}, only="fifo") == ({}, {"fifo": "it is not a regular file"})
    assert collected(folder, {}, only="none") == ({}, {"none": "No such file or directory"})


def test_files_beyond_the_limits_are_named(folder: Path) -> None:
    for name, size in (("a", 900), ("b", 101), ("c", 100)):
        (folder / name).write_text("x" * size)
    given, left_out = collected(folder, DEPLOYED)
    assert (set(given), set(left_out)) == ({"a", "c"}, {"b"})
    assert left_out["b"] == "it has 101 bytes, and 100 are left"
    given, left_out = collected(folder, DEPLOYED, files=1)
    assert (set(given), set(left_out)) == ({"a"}, {"b", "c"})
    with (folder / "sparse").open("wb") as file:
        file.truncate(10**12)
    assert "sparse" in collected(folder, DEPLOYED)[1]
