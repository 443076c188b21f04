"""Whole runs on machines in memory whose files the disk refuses from some moment on."""

import errno
import io
from pathlib import Path
from typing import Any

import pytest
from engine_play import COUNT, Play
from fake_machine import FakeProcess, Wire, puller, pusher

from pushpull.core.errors import ExitCode, RunStoreError
from pushpull.runs import directory, jsonl


class Disk:
    """A disk that refuses to write to files of some names, when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuses: tuple[str, ...] = ()
        self.number = errno.ENOSPC
        disk = self

        class File(io.FileIO):
            def write(self, data: Any) -> int:
                disk.require(str(self.name))
                return super().write(data)

        replace = directory._replace

        def replaced(file: Path, data: bytes) -> Path:
            with directory.file_errors(file):
                disk.require(str(file))
            return replace(file, data)

        for module in (directory, jsonl):
            monkeypatch.setattr(module.io, "FileIO", File)
        monkeypatch.setattr(directory, "_replace", replaced)

    def require(self, name: str) -> None:
        if name.endswith(self.refuses or "no file"):
            raise OSError(self.number, "refused by the test")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def refusing_at(disk: Disk, when: int, *names: str, number: int = errno.ENOSPC) -> tuple[Any, Any]:
    """Return scripts of a pusher and of a worker that receives message 0 twice, to begin with."""
    wire = Wire()

    def work(process: FakeProcess, number_: int) -> None:
        if number_ == 1:
            process.prints("0 , 1.0")
        if number_ == when:
            disk.number, disk.refuses = number, names

    return pusher(wire, range(COUNT)), puller(wire, work)


@pytest.mark.parametrize(
    "names", [("work.log",), (".index",), ("events.jsonl",), (".log", ".index", ".jsonl", ".err")]
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_what_was_decided_before_the_disk_was_full_is_told_and_kept(
    play: Play, disk: Disk, impatient: None, names: tuple[str, ...], number: int
) -> None:
    done = play(*refusing_at(disk, 3, *names, number=number))
    assert done.code == ExitCode.MISTAKE
    assert isinstance(done.error, RunStoreError)
    assert "refused by the test" in done.error.what
    assert "Free some space" in done.error.hint
    assert done.verdicts["twice"] == ("refuted", "Message 0 was received more than once.")
    verdict, why = done.verdicts["quick"]
    assert verdict == "not observed"
    assert why == "Not all of this run could be kept: refused by the test."
    assert done.stored.state == "interrupted"
    assert done.stored.description["cut"] == why
    assert [v["verdict"] for v in done.stored.verdicts or []] == [
        verdict for verdict, _ in done.verdicts.values()
    ]
    printed = [r.text for r in done.stored.records if r.process == "work" and r.stream == "stdout"]
    assert printed[:4] == ["0 , 1.0", "0 , 1.0", "1 , 1.0", "2 , 1.0"]


def test_a_disk_that_is_read_only_all_at_once(play: Play, disk: Disk, impatient: None) -> None:
    """Nothing at all can be written any more: the verdicts are told, and the run has died."""
    names = (".log", ".index", ".jsonl", ".err", ".json", ".txt")
    done = play(*refusing_at(disk, 3, *names, number=errno.EROFS))
    assert done.code == ExitCode.MISTAKE
    assert isinstance(done.error, RunStoreError)
    assert done.verdicts["twice"][0] == "refuted"
    assert done.verdicts["quick"][0] == "not observed"
    assert done.stored.state == "died"
    assert done.stored.verdicts is None
    assert len(done.stored.records) > 4


@pytest.mark.parametrize("names", [("verdicts.json",), ("run.json",)])
def test_verdicts_that_can_not_be_written_are_told(
    play: Play, disk: Disk, impatient: None, names: tuple[str, ...]
) -> None:
    wire = Wire()

    def work(process: FakeProcess, number: int) -> None:
        if number == COUNT - 1:
            disk.refuses = names

    done = play(pusher(wire, range(COUNT)), puller(wire, work))
    assert done.code == ExitCode.MISTAKE
    assert isinstance(done.error, RunStoreError)
    assert set(done.verdicts) == {"once", "twice", "quick"}
    assert done.stored.state != "finished"
