"""`fab logs` follows a run to its end, and `fab ssh` ends with its terminal."""

import contextlib
import os
import pty
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import FAB, fab, only_run, read_until, started
from quick import rest_slow

from pushpull.core.errors import ExitCode
from pushpull.runs import following


def test_a_later_life_is_followed_and_the_last_line_needs_no_newline(tmp_path: Path) -> None:
    (tmp_path / "pull.log").write_text("0\n1\nun")
    (tmp_path / "pull.err").write_text("not this\n")
    os.mkfifo(tmp_path / "pipe.log")
    until = threading.Event()
    found = following.lines(tmp_path, until=until)
    assert [next(found), next(found)] == ["0", "1"]
    with (tmp_path / "pull.log").open("a") as file:
        file.write("finished\n")
    (tmp_path / "pull.2.log").write_text("2\nlast")
    assert {next(found), next(found)} == {"unfinished", "2"}
    until.set()
    assert list(found) == ["last"]


def test_a_line_without_end_is_not_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x" * 300_000 + b"\n\xff\n")
    until = threading.Event()
    until.set()
    found = list(following.lines(tmp_path, until=until))
    assert "".join(found) == "x" * 300_000 + "\\xff"
    assert max(map(len, found)) < 200_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twenty messages."""
    root = tmp_path_factory.mktemp("runs")
    flags = ("--experiment", "round_robin", "--interval", 0.01, "--runs", root)
    assert fab("run-experiment", *flags).returncode == 0
    return only_run(root)


@pytest.mark.parametrize("has_logs", [True, False])
def test_if_nothing_ran_it_says_so_and_reads_no_input(
    run: Path, tmp_path: Path, has_logs: bool
) -> None:
    """The standard input stays open, and would be read for ever."""
    here = shutil.copytree(run, tmp_path / run.name)
    if not has_logs:
        for name in ("push.log", "push.log.index"):
            (here / "push" / name).unlink()
    reading, writing = os.pipe()
    os.write(writing, b"SECRET\n")
    done = subprocess.run(
        [*FAB, "logs", "--machine", "push", "--runs", tmp_path, "--run", run.name],
        stdin=reading, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    os.close(writing)
    os.close(reading)
    assert done.returncode == 0
    assert "SECRET" not in done.stdout
    assert ("push printed nothing" in done.stderr) is not has_logs
    assert (done.stdout.splitlines() == [str(k) for k in range(20)]) is has_logs


@pytest.mark.slow
def test_a_run_is_followed_to_its_end(tmp_path: Path) -> None:
    flags = ("--experiment", "round_robin", "--count", 20, "--interval", 0.1, "--runs", tmp_path)
    with started("run-experiment", *flags) as run:
        read_until(run, "push   | 1")
        with started("logs", "--machine", "push", "--runs", tmp_path) as logs:
            told = logs.communicate(timeout=60)[0]
        run.communicate()
    assert logs.returncode == 0
    assert told.splitlines() == [str(k) for k in range(20)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, ...]]:
    """The flags of a lab of one machine that is up."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory.yaml"
    inventory.write_text(
        "network: 192.168.0.0/24\nmachines:\n  push: {role: pusher, address: 192.168.0.161}\n"
    )
    flags = ("--provider", "namespaces", "--inventory", inventory)
    assert fab("up", *flags).returncode == 0
    yield flags
    assert fab("down", *flags).returncode == 0


def test_a_shell_needs_a_terminal(lab: tuple[object, ...]) -> None:
    done = fab("ssh", "--machine", "push", *lab)
    assert done.returncode == ExitCode.MISTAKE
    assert "a shell needs a terminal" in done.stderr


def test_a_command_runs_there_instead_of_a_shell(lab: tuple[object, ...]) -> None:
    done = fab("ssh", "--machine", "push", *lab, "--", "hostname; echo 'a  b' >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (7, "push\n", "a  b\n")
    done = fab(
        "ssh", "--machine", "push", *lab, "--", "sh", "-c", 'echo "$1"; exit 7', "sh", "a  $"
    )
    assert (done.returncode, done.stdout) == (7, "a  $\n")


def test_a_command_gets_standard_input_and_ends_when_nobody_reads_on(
    lab: tuple[object, ...],
) -> None:
    command = [*FAB, "ssh", "--machine", "push", *map(str, lab), "--", "wc -c; exec yes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as piped:
        assert piped.stdin
        assert piped.stdout
        piped.stdin.write(b"\0" * 300_000)
        piped.stdin.close()
        assert piped.stdout.readline() == b"300000\n"
        piped.stdout.close()
        assert piped.wait(60) == 128 + signal.SIGPIPE


def test_only_ssh_takes_a_command() -> None:
    done = fab("status", "--", "hostname")
    assert done.returncode == ExitCode.MISTAKE
    assert "only `ssh` takes a command after --" in done.stderr


@pytest.mark.parametrize("number", rest_slow([signal.SIGTERM, signal.SIGHUP]))
def test_a_kill_ends_a_shell(lab: tuple[object, ...], number: signal.Signals) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(FAB[0], [*FAB, "ssh", "--machine", "push", *map(str, lab)])
    said = b""
    while b"shared" not in said:  # what is typed before the shell has the terminal is lost
        os.write(terminal, b"echo sha''red\n")
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096)
    os.kill(pid, number)
    _read_to_the_end(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.INTERRUPTED
    os.close(terminal)


def _read_to_the_end(terminal: int) -> None:
    with contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while select.select([terminal], [], [], 60)[0] and os.read(terminal, 4096):
            pass
