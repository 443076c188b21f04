"""Odd surroundings: signals at any moment, output that goes nowhere, a computer that refuses."""

import json
import os
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import FAB, PROJECT, fab, only_run, read_until, started, verdicts
from quick import rest_slow
from story import RECORDED

from pushpull.cli import interrupts
from pushpull.core import output
from pushpull.core.errors import ExitCode

RUN = ("run-experiment", "--experiment", "round_robin")
WRAPPER = str(PROJECT / "fab")


def sh(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user types it, `fab` being the wrapper."""
    return subprocess.run(
        ["sh", "-c", command.replace("fab ", f"{WRAPPER} ")],
        capture_output=True, text=True, timeout=100, cwd=PROJECT,
        env=os.environ | environment, errors="backslashreplace",
    )  # fmt: skip


# -- signals -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("number", rest_slow([signal.SIGHUP, signal.SIGTERM, signal.SIGINT]))
def test_a_signal_that_was_ignored_before_stays_so(tmp_path: Path, number: signal.Signals) -> None:
    """As under nohup, or for a shell's background job."""
    command = [*FAB, *RUN, "--count", "8", "--interval", "0.05", "--runs", str(tmp_path)]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    ) as run:
        said = read_until(run, "push   | 1")
        run.send_signal(number)
        said += run.communicate(timeout=60)[0]
    assert run.returncode == ExitCode.EXPECTED, said
    assert said.count("push   |") == 8


@pytest.mark.parametrize("number", rest_slow([signal.SIGHUP, signal.SIGTERM]))
def test_a_kill_is_an_interrupt(tmp_path: Path, number: signal.Signals) -> None:
    with started(*RUN, "--interval", 0.1, "--runs", tmp_path) as run:
        read_until(run, "push   | 1")
        run.send_signal(number)
        said = run.communicate(timeout=60)[0]
    assert run.returncode == ExitCode.INTERRUPTED, said
    assert verdicts(only_run(tmp_path))


def test_a_closed_terminal_is_an_interrupt(tmp_path: Path) -> None:
    """The kernel sends SIGHUP, and nothing can be written any more."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(FAB[0], [*FAB, *RUN, "--interval", "0.1", "--runs", str(tmp_path)])
    said = b""
    while b"2 , " not in said:
        assert select.select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 4096)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == ExitCode.INTERRUPTED
    assert verdicts(only_run(tmp_path))


@pytest.mark.parametrize("delay_ms", rest_slow(range(1, 400, 50)))
def test_ctrl_c_at_the_very_start(tmp_path: Path, delay_ms: int) -> None:
    """In the wrapper, in Python's own start, among the imports: it makes no difference."""
    with subprocess.Popen(
        [WRAPPER, *RUN, "--interval", "0.2", "--runs", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as run:  # fmt: skip
        while not _catches(run.pid, signal.SIGINT):
            assert run.poll() is None
        select.select([run.stdout], [], [], delay_ms / 1000)
        os.killpg(run.pid, signal.SIGINT)
        said = run.communicate(timeout=60)[0]
    assert "Traceback" not in said
    assert run.returncode == ExitCode.INTERRUPTED, said


def _catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process handles a signal: a shell that has only just begun does not."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def test_a_tasks_handlers_end_with_it() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interrupts.raising():
        assert signal.getsignal(signal.SIGTERM) != before[1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# -- output --------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", rest_slow(["latin-1", "ascii", "cp437"]))
@pytest.mark.parametrize("task", ["check", "experiments"])
def test_an_encoding_that_lacks_signs(encoding: str, task: str) -> None:
    done = fab(task, environment={"PYTHONIOENCODING": encoding}, cwd=PROJECT)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("closed", rest_slow([">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"]))
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """All is as ever, and no file of a run is taken for a stream (3: so few were not observed)."""
    flags = f"--count 3 --interval 0.01 --runs {tmp_path}"
    for command in ("fab experiments", f"fab run-experiment --experiment round_robin {flags}"):
        done = sh(f"{command} {closed}")
        assert (done.returncode in (0, 3), done.stderr) == (True, ""), done.stderr
    assert len(verdicts(only_run(tmp_path))) > 3
    assert "run-experiment" not in (only_run(tmp_path) / "records.jsonl").read_text()


@pytest.mark.slow
def test_a_full_disk_below_the_output_costs_no_run(tmp_path: Path) -> None:
    flags = f"--count 6 --interval 0.05 --runs {tmp_path}"
    done = sh(f"fab run-experiment --experiment round_robin {flags} >/dev/full")
    assert done.returncode in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED)
    assert done.stderr == "the output could not be written: No space left on device\n"
    assert len(verdicts(only_run(tmp_path))) > 3


def test_a_full_disk_below_the_messages() -> None:
    done = sh("fab logs --machine nobody --runs nowhere 2>/dev/full")
    assert (done.returncode, done.stdout) == (ExitCode.MISTAKE, "")


@pytest.mark.parametrize("task", rest_slow(["experiments", "--list", "check --provider loopback"]))
def test_a_reader_that_left(task: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*FAB, *task.split()], stdout=writing, stderr=subprocess.PIPE, text=True, cwd=PROJECT
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, “quoted”, ✓\n", "plain, “quoted”, ✓\n"),
        ("\x1b]52;c;AAAA\x07", r"\x1b]52;c;AAAA\x07"),
        ("\x9b2J\r", r"\x9b2J\x0d"),
        ("a\u202eb\u200b\ufe0f", r"a\u202eb\u200b\ufe0f"),
        ("\udcff", r"\udcff"),
    ],
)
def test_terminal_escapes_are_made_visible(text: str, shown: str) -> None:
    assert output.visible(text) == shown


ESCAPE = "\x1b]52;c;AAAA\x07\x9b31m"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run-experiment", "--experiment", ESCAPE],
        ["run-experiment", "--count", ESCAPE],
        ["run-experiment", "--provider", ESCAPE],
        ["run-experiment", ESCAPE],
        ["report", "--runs", ESCAPE],
        ["logs", "--run", str(RECORDED / "kill_worker"), "--machine", ESCAPE],
        ["check", "--inventory", ESCAPE],
        [f"--{ESCAPE}"],
    ],
    ids=range(8),
)
def test_no_message_lets_an_escape_through(arguments: list[str]) -> None:
    done = fab(*arguments, cwd=PROJECT)
    assert done.returncode == ExitCode.MISTAKE
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout + done.stderr)
    assert r"\x1b" in done.stderr


@pytest.mark.parametrize(
    "name", rest_slow(["run.json", "verdicts.json", "records.jsonl", "events.jsonl"])
)
@pytest.mark.parametrize("task", ["compare", "report", "logs"])
def test_no_stored_run_lets_an_escape_through(tmp_path: Path, name: str, task: str) -> None:
    """Every text of a run has one in it; whether the run is then read at all is another matter."""
    run = tmp_path / "20261007T120000Z-kill_worker"
    shutil.copytree(RECORDED / "kill_worker", run)
    file = run / name
    lines = [json.dumps(_with_escapes(json.loads(line))) for line in _documents(file)]
    file.write_text("\n".join(lines) + "\n")
    machine = ("--machine", "push") if task == "logs" else ()
    done = fab(task, *machine, "--runs", tmp_path, "--run", run.name)
    assert not {"\x1b", "\x07", "\x9b"} & set(done.stdout + done.stderr)


def _documents(file: Path) -> list[str]:
    text = file.read_text()
    return text.splitlines() if file.suffix == ".jsonl" else [text]


def _with_escapes(value: Any) -> Any:
    if isinstance(value, str):
        return value + ESCAPE
    if isinstance(value, list):
        return [_with_escapes(one) for one in value]
    if isinstance(value, dict):
        return {key: _with_escapes(one) for key, one in value.items()}
    return value


# -- this computer -------------------------------------------------------------------------------


def nowhere(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "json.py").write_text("raise SystemExit('not ours')\n")
    return {
        "HOME": os.devnull,
        "PYTHONOPTIMIZE": "2",
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": str(tmp_path),
        "PYTHONIOENCODING": "no-such-encoding",
        "PYTHONWARNINGS": "error",
        "PYTHONINSPECT": "1",
        "TMPDIR": str(tmp_path / "nowhere"),
        "TERM": "no-such-terminal",
        "COLUMNS": "x",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    rest_slow([
        "PYTHONPATH", "HOME", "PYTHONOPTIMIZE", "PYTHONHOME", "PYTHONIOENCODING",
        "PYTHONWARNINGS", "PYTHONINSPECT", "TMPDIR", "TERM", "COLUMNS",
    ]),
)  # fmt: skip
def test_an_odd_environment_makes_no_difference(tmp_path: Path, name: str) -> None:
    odd = {name: nowhere(tmp_path)[name]}
    for command in (
        "fab experiments",
        f"fab run-experiment --experiment round_robin --interval 0.01 --runs {tmp_path}/runs",
    ):
        done = sh(command, **odd)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_without_a_home(tmp_path: Path) -> None:
    done = sh(f"unset HOME; fab run-experiment --interval 0.01 --count 9 --runs {tmp_path}")
    assert done.returncode in (0, 3), done.stderr


def test_a_module_of_the_standard_library_in_the_current_folder(tmp_path: Path) -> None:
    for name in ("json", "signal", "socket", "lab", "pushpull"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not ours')\n")
    done = subprocess.run([WRAPPER, "experiments"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_optimised_python_is_refused_with_a_reason() -> None:
    done = fab("experiments", environment={"PYTHONOPTIMIZE": "2"})
    assert done.returncode == ExitCode.MISTAKE
    assert done.stderr.splitlines()[0].endswith("unset PYTHONOPTIMIZE")


@pytest.mark.parametrize("megabytes", rest_slow([50, 35, 49, 70, 100, 150]))
def test_little_memory_is_one_message(megabytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    done = subprocess.run(
        [*FAB, "experiments"],
        capture_output=True, text=True, timeout=100, cwd=PROJECT, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == ExitCode.MISTAKE, done.stderr
    assert done.stderr.splitlines()[0] == "this computer: there is not enough memory"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_folder_of_another_user(tmp_path: Path) -> None:
    """No home, no name, no right to write anywhere: one line."""
    needed = ":".join((sys.prefix, sys.base_prefix, str(PROJECT)))
    as_user = [sys.executable, str(PROJECT / "tests/unprivileged.py"), "12345", needed]
    for task in (["experiments"], ["status"], [*RUN, "--interval", "0.01"]):
        done = subprocess.run(
            [*as_user, *FAB, *task],
            cwd="/", env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert done.returncode == (2 if "run-experiment" in task else 0), done.stderr
