"""The entry point: `./fab` makes its environment if necessary, and says what is missing."""

import fcntl
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from pushpull.cli import test_suite

PROJECT = Path(__file__).parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]

# Stands in for Python: knows the wrapper's questions, notes each `-m` and makes a venv in no time.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *sys.version_info*) echo "${FAKE_VERSION:-3.11.2} $0"; exit "${FAKE_TOO_OLD:-0}" ;;
    *"import ensurepip"*) exit "${FAKE_NO_VENV:-0}" ;;
    -) cat >/dev/null ;;
    "-m venv"*) echo venv >>"$CALLS"; mkdir -p "$4/bin" "$4/lib/python3.11/site-packages"
        cp "$0" "$4/bin/python" ;;
    "-m pip"*) echo pip >>"$CALLS"; echo "no matching distribution"; exit "${FAKE_NO_PIP:-0}" ;;
    *) echo "ran: $*" ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without an environment, in a folder whose name has a space."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("fab", "requirements.lock"):
        shutil.copy(PROJECT / name, folder)
    return folder


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """The file in which the fake Python notes that it was asked for a venv or for pip."""
    file = tmp_path / "calls"
    file.touch()
    return file


@pytest.fixture
def fab(clone: Path, calls: Path, tmp_path: Path) -> Run:
    """Runs the clone's `./fab` with a fake Python, from another folder."""
    python = tmp_path / "python3"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)
    environment = {"PATH": os.defpath, "PYTHON": str(python), "CALLS": str(calls)}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(clone / "fab"), *arguments]
        return subprocess.run(
            command, env=environment | more, cwd="/", capture_output=True, text=True, timeout=30
        )

    return run


def test_makes_the_environment_once_and_says_so(fab: Run, calls: Path) -> None:
    first = fab("status", "--machine", "a b")
    assert first.stdout == "ran: -P -m pushpull status --machine a b\n"
    said = first.stderr.splitlines()
    assert [line.split()[1] for line in said] == ["making", "installing"]
    assert "3.11.2" in said[0]

    assert fab("status").stderr == ""
    assert calls.read_text().split() == ["venv", "pip"]


def test_a_second_call_costs_at_most_20_ms(fab: Run, clone: Path) -> None:
    def cost(command: Path) -> float:  # of the processor, which other tests do not change
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([command, "status"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    fab("status")
    pairs = [(cost(clone / "fab"), cost(clone / ".venv/bin/python")) for _ in range(15)]
    assert statistics.median(with_fab - without for with_fab, without in pairs) < 0.020


@pytest.mark.parametrize(
    "spoil",
    [
        lambda venv: (venv / "requirements.lock").unlink(),  # an interrupted install
        lambda venv: (venv / "requirements.lock").write_text("pytest==1\n"),
        lambda venv: (venv / "bin/python").unlink(),
        lambda venv: (venv / "made-in").write_text("/where/it/was/before\n"),
    ],
    ids=["interrupted", "lock changed", "python gone", "moved"],
)
def test_a_stale_environment_is_rebuilt(
    fab: Run, clone: Path, calls: Path, spoil: Callable[[Path], object]
) -> None:
    fab("status")
    spoil(clone / ".venv")
    assert fab("status").returncode == 0
    assert calls.read_text().split() == ["venv", "pip"] * 2


def test_the_environment_is_rebuilt_after_its_clone_moved(
    fab: Run, clone: Path, calls: Path, tmp_path: Path
) -> None:
    fab("status")
    shutil.copytree(clone, tmp_path / "copy")
    shutil.rmtree(clone)
    (tmp_path / "copy").rename(clone)
    assert fab("status").stderr == ""  # at its old place nothing is to be done
    clone.rename(tmp_path / "moved")
    clone.symlink_to(tmp_path / "moved")
    fab("status")
    assert calls.read_text().split() == ["venv", "pip"] * 2


def test_an_environment_of_another_clone_is_not_emptied(
    fab: Run, clone: Path, calls: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    (theirs / "bin").mkdir(parents=True)
    (clone / ".venv").symlink_to(theirs)
    done = fab("--list")
    assert done.returncode == 2
    assert f".venv is a link to {theirs}" in done.stderr
    assert calls.read_text() == ""


def test_works_through_a_link(fab: Run, clone: Path, tmp_path: Path) -> None:
    fab("status")
    (tmp_path / "door").symlink_to("a clone/fab")
    done = subprocess.run([tmp_path / "door", "x"], capture_output=True, text=True, timeout=30)
    assert done.stdout == "ran: -P -m pushpull x\n"
    assert done.stderr == ""


def test_python_too_old_is_named(fab: Run) -> None:
    done = fab("status", FAKE_VERSION="3.9.2", FAKE_TOO_OLD="1")
    assert done.returncode == 2
    assert "3.11 or later" in done.stderr
    assert "python3 is 3.9.2" in done.stderr
    assert "PYTHON=" in done.stderr


def test_no_python_at_all(fab: Run) -> None:
    done = fab("status", PYTHON="/nowhere/python3")
    assert done.returncode == 2
    assert "/nowhere/python3" in done.stderr


@pytest.mark.parametrize(
    ("uid", "hint"),
    [
        ("1000", "  sudo apt-get install python3.11-venv\n"),
        ("0", "  apt-get install python3.11-venv\n"),
    ],
    ids=["user", "root"],
)
def test_venv_missing(fab: Run, calls: Path, tmp_path: Path, uid: str, hint: str) -> None:
    """Nothing is installed unasked, by root neither: the line to type is given."""
    tools = _tools(tmp_path, {"apt-get": 'echo "$1" >>"$CALLS"', "id": f"echo {uid}"})
    done = fab("status", FAKE_NO_VENV="1", PATH=f"{tools}:{os.defpath}")
    assert done.returncode == 2
    assert done.stderr.endswith(hint)
    assert calls.read_text() == ""


def _tools(folder: Path, scripts: dict[str, str]) -> Path:
    tools = folder / "tools"
    tools.mkdir()
    for name, script in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    return tools


def test_a_failed_install_shows_pip_and_is_tried_again(fab: Run, calls: Path) -> None:
    done = fab("status", FAKE_NO_PIP="1")
    assert done.returncode == 2
    assert "no matching distribution" in done.stderr
    assert "internet" in done.stderr

    assert fab("status").returncode == 0
    assert calls.read_text().split() == ["venv", "pip"] * 2


def test_two_first_calls_make_one_environment(clone: Path, tmp_path: Path) -> None:
    """The second waits for the lock that the first holds; here the test holds it, then stamps."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -P ] && echo ran || exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    with (clone / "requirements.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [clone / "fab", "status"],
            env=os.environ | {"PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert second.stderr
        assert "waiting" in second.stderr.readline()
        venv = clone / ".venv"
        (venv / "bin").mkdir(parents=True)
        shutil.copy(python, venv / "bin/python")
        (venv / "made-in").write_text(f"{clone}\n")
        shutil.copy(clone / "requirements.lock", venv)
    assert second.communicate(timeout=30) == ("ran\n", "")


def test_the_lock_file_names_no_place() -> None:
    text = (PROJECT / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize(
    "arguments",
    [["no-such-task"], ["status", "--no-such-flag"], ["--command-timeout=x", "status"]],
    ids=["task", "flag", "number"],
)
def test_a_mistake_on_the_command_line_exits_2(arguments: list[str], tmp_path: Path) -> None:
    done = _lab(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "  See ./fab --list, or ./fab --help TASK"


def test_the_tasks_are_found_from_a_folder_with_a_lab_of_its_own(tmp_path: Path) -> None:
    for name in ("lab", "pushpull"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
    done = _lab("--list", cwd=tmp_path)
    assert "run-experiment" in done.stdout
    assert done.returncode == 0


def test_the_folders_name_runs_the_lab_but_is_no_name_to_import(tmp_path: Path) -> None:
    """Imported as `lab`, each module would exist twice."""

    def python(*words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-P", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    assert "run-experiment" in python("-m", "lab", "--list").stdout
    refused = python("-c", "import lab.api")
    assert refused.returncode == 1
    assert "the lab's import name is pushpull" in refused.stderr


def _lab(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run what `./fab` execs."""
    command = [sys.executable, "-P", "-m", "pushpull", *arguments]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=30
    )


def test_ctrl_c_exits_4(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "lab", tmp_path / "pushpull")
    (tmp_path / "fabfile.py").write_text(
        "import signal\nfrom invoke import task\n\n@task\ndef wait(context):\n"
        "    print('ready', flush=True)\n    signal.pause()\n"
    )
    command = [sys.executable, "-m", "pushpull", "wait"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 4


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_install_from_nothing(clone: Path, tmp_path: Path) -> None:
    for name in ("fabfile.py", "pyproject.toml"):
        shutil.copy(PROJECT / name, clone)
    shutil.copytree(PROJECT / "lab", clone / "lab")
    (clone / "pushpull").symlink_to("lab")
    # Settings of pip that users have and that break an install into a virtual environment.
    environment = os.environ | {"PYTHON": sys.executable, "PIP_USER": "1"}
    environment["PIP_NO_COMPILE"] = "0"  # pip's way to say --no-compile, which is half of the work
    for command in (["./fab", "--list"], [".venv/bin/fab", "--list"]):
        done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True)
        assert "run-experiment" in done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0)])
def test_skipped_tests_are_listed_and_fail_in_ci(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    ci: str,
    code: int,
) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no moon')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n  alone\n")
    monkeypatch.setattr(test_suite, "PROJECT", tmp_path)
    monkeypatch.setattr(test_suite, "_CHECKS", {})
    monkeypatch.setattr(test_suite, "_QUICK_PARTS", {"both": ("not alone", [])})  # no workers
    monkeypatch.setattr(test_suite, "_unpack_packages", lambda: "nowhere")
    monkeypatch.setenv("CI", ci)
    assert test_suite.run(quick=True) == code
    said = capfd.readouterr().out.splitlines()
    assert "1 skipped: no moon" in said
    assert said[-1] == "1 passed, 0 failed, 1 skipped"


def test_sshd_lets_its_own_user_in(sshd_binary: Path, user: str, tmp_path: Path) -> None:
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(tmp_path / "key"))
    (tmp_path / "authorized").write_text(f"{key.get_name()} {key.get_base64()}\n")
    config = tmp_path / "config"
    config.write_text(
        f"HostKey {tmp_path}/key\nAuthorizedKeysFile {tmp_path}/authorized\n"
        "PidFile none\nUsePAM no\nStrictModes no\n"
    )
    ours, theirs = socket.socketpair()
    with subprocess.Popen([sshd_binary, "-i", "-f", config], stdin=theirs, stdout=theirs):
        theirs.close()
        with paramiko.Transport(ours) as transport:
            transport.connect(username=user, pkey=key)
            channel = transport.open_session()
            channel.exec_command("id -un; echo $LD_LIBRARY_PATH")
            assert channel.makefile().read() == f"{user}\n\n".encode()
