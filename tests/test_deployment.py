"""What the lab sends to a machine before a run, and what the machine answers: anything."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushpull.core.errors import LabError
from pushpull.machines.agent import launcher
from pushpull.machines.deployment import DEPLOYED, Deployment


class Channel:
    """The way to a command that runs on this computer."""

    def __init__(self, argv: list[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
        self.send: Any = self.process.stdin.write  # type: ignore[union-attr]

    def makefile(self, _: str) -> Any:
        return self.process.stdout

    def recv_stderr(self, size: int) -> bytes:
        return self.process.stderr.read(size)  # type: ignore[union-attr]


class Answer:
    """The way to a machine that says just that, whatever it hears."""

    def __init__(self, stdout: bytes, stderr: bytes = b"") -> None:
        self._stdout, self._stderr = stdout, stderr

    def send(self, data: bytes) -> int:
        return len(data)

    def makefile(self, _: str) -> Any:
        return io.BytesIO(self._stdout)

    def recv_stderr(self, _: int) -> bytes:
        return self._stderr


def whole(folder: Path, **files: Path) -> Deployment:
    reads = ["/proc/sys/kernel/ostype", "/no/such file"]
    return Deployment(folder=str(folder), files=files, programs={}, reads=reads)


def test_files_are_written_and_the_launcher_waits(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    plain, program = tmp_path / "plain", tmp_path / "program"
    plain.write_bytes(content)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    there = tmp_path / "work" / "a run"
    order = whole(there, **{"below/any file": plain, "program": program})
    channel: Any = Channel(order.command(sys.executable))
    assert order.send(channel, "pull-1") == {"/proc/sys/kernel/ostype": "Linux\n"}
    assert (there / "files/below/any file").read_bytes() == content
    modes = {str(path.relative_to(there)): path.stat().st_mode & 0o777 for path in there.rglob("*")}
    assert modes.pop("files/program") == 0o700
    assert modes.pop("files/below/any file") == modes.pop(DEPLOYED) == 0o600
    assert set(modes.values()) == {0o700}
    words = ["sh", "-c", "umask; exit 3"]
    channel.send(launcher.order(words, {}, str(there / "files"), str(there / "agent/notes")))
    usual = subprocess.run(["sh", "-c", "umask"], capture_output=True, check=True)
    # To its end: the launcher kills a program whose input is closed.
    assert channel.process.stdout.read() == usual.stdout
    assert channel.process.wait(30) == 3


def test_a_run_without_files_has_a_folder_for_programs(tmp_path: Path) -> None:
    order = whole(tmp_path / "run")
    channel: Any = Channel(order.command(sys.executable))
    order.send(channel, "pull-1")
    assert (tmp_path / "run/files").is_dir()
    channel.process.communicate()
    assert channel.process.returncode == launcher.FAILED


def test_a_machine_that_can_not_write_says_why(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    large = tmp_path / "large"
    large.write_bytes(bytes(1 << 20))  # more than a pipe holds
    order = whole(tmp_path / "run", large=large)
    channel: Any = Channel(order.command(sys.executable))
    with pytest.raises(LabError, match=r"can't deploy the programs: .*run/files") as raised:
        order.send(channel, "pull-1")
    assert raised.value.where == "machine pull-1"
    channel.process.communicate()


def test_a_harness_that_goes_away_leaves_nothing_running(tmp_path: Path) -> None:
    order = whole(tmp_path / "run", half=Path(__file__))
    channel = Channel(order.command(sys.executable))
    begun = next(order._order())
    channel.send(begun)
    channel.process.communicate()
    assert channel.process.returncode == 1


STRANGE = [
    b"hello\n",
    b"ready\n",
    b"ready\n7\nLin",
    b"ready\nmany\n",
    b"ready\n99999999999\n" + bytes(1 << 16),
    b"ready" + bytes(1 << 16),
]


@pytest.mark.parametrize("said", STRANGE, ids=lambda said: repr(said[:20]))
def test_an_answer_that_makes_no_sense(said: bytes, tmp_path: Path) -> None:
    channel: Any = Answer(said)
    with pytest.raises(EOFError):
        whole(tmp_path).send(channel, "pull-1")


def test_a_machine_without_python_says_so(tmp_path: Path) -> None:
    channel: Any = Answer(b"", b"sh: 1: exec: python3: not \x1b[31mfound\n")
    with pytest.raises(EOFError, match=r"python3: not .*found") as raised:
        whole(tmp_path).send(channel, "pull-1")
    assert "\x1b" not in str(raised.value)
