"""The launcher ends all descendants of its program, however they try to escape."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from launched import shell
from leftovers import descendants, ended_within, is_alive

from pushpull.machines.agent import launcher

# Two processes that left the program's session and group, as daemons do; each prints its pid, and
# ends at a signal.
DAEMONS = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
def wait(status):
    os.write(1, b"%d\\n" % os.getpid())
    signal.sigwait({signal.SIGUSR1})
    os.write(1, b"got %d\\n" % os.getpid())
    os._exit(status)
for daemon in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        wait(0)
"""


def test_daemons_end_when_the_harness_is_gone(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS)
    pids = [int(run.line()), int(run.line())]
    assert all(map(is_alive, pids))  # though the program itself may have ended
    run.vanish()
    assert run.end()[1] == ""
    assert not any(map(is_alive, pids))


def test_a_hang_up_does_not_keep_it_from_that(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS + "while True: signal.pause()")
    pids = [int(run.line()), int(run.line())]
    run.process.send_signal(signal.SIGHUP)
    run.vanish()
    assert run.end() == (137, "")
    assert not any(map(is_alive, pids))


def test_a_hang_up_still_ends_the_program(launch) -> None:
    assert launch(*shell("kill -HUP $$")).end() == (129, "")


def test_a_signal_reaches_all(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS + "wait(5)")
    pids = {int(run.line()) for _ in range(3)}
    run.send(signal.SIGUSR1)
    status, said = run.end()
    assert status == 5
    assert {int(line.split()[1]) for line in said.splitlines()} == pids


def test_a_kill_leaves_none(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS + "while True: signal.pause()")
    pids = [int(run.line()), int(run.line())]
    run.send(signal.SIGKILL)
    assert run.end() == (137, "")
    assert not any(map(is_alive, pids))


def test_a_process_that_ignores_all_signals_ends_too(launch) -> None:
    run = launch(*shell("trap '' TERM INT HUP", "echo on", "while :; do sleep 0.01; done"))
    assert run.line() == "on"
    run.send(signal.SIGTERM)
    run.vanish()
    assert run.end()[0] == 137


def test_a_stopped_process_ends_too(launch) -> None:
    run = launch(*shell("echo on", "kill -STOP $$"))
    assert run.line() == "on"
    run.vanish()
    assert run.end()[0] == 137


# Starts the program, and then may signal it no more, as it is with what runs under sudo.
DROP = """
import os, warnings  # os.execvp imports it, which another user may not
begin = launcher.start
def start(*arguments):
    program = begin(*arguments)
    os.setresuid(65534, 65534, 65534)
    return program
launcher.start = start
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start what another may not signal")
@pytest.mark.parametrize("how", ["kill", "vanish"])
def test_a_process_that_it_may_not_signal_does_not_end_the_launcher(
    launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It asks sudo, and waits for its end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        asked, sudo = Path(folder, "asked"), Path(folder, "sudo")
        os.mkfifo(asked, 0o666)
        asked.chmod(0o666)
        sudo.write_text(f'#!/bin/sh\necho "as root: $*" >> {asked}\n')
        sudo.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        run = launch(*shell("echo $$", f"read word < {gate}", "exit 6"), setup=DROP)
        pid = int(run.line())
        if how == "kill":
            run.send(signal.SIGKILL)
        else:
            run.vanish()
        try:
            assert asked.read_text() == f"as root: -n kill -9 {pid}\n"
            assert is_alive(pid)
        finally:
            gate.write_text("go\n")
        assert run.end() == (6, "")


# Each of 8 families runs away from the killer: a process forks the next one, and is gone.
RUNAWAYS = """
import os, sys
for family in range(8):
    if os.fork() == 0:
        os.setsid()
        for hop in range(4_000):
            if os.fork():
                os._exit(0)
            if hop == 20:
                os.write(1, b"off\\n")
        os.write(1, b"escaped\\n")
        os._exit(0)
os.wait()
"""


# As on a busy computer: processes end faster than they are reaped.
SLOWLY = """
import os, time
reap = os.waitpid
def slowly(*arguments):
    until = time.monotonic() + 0.0005
    while time.monotonic() < until:  # a sleep does not end while signals arrive
        pass
    return reap(*arguments)
os.waitpid = slowly
"""


@pytest.mark.parametrize(
    ("how", "setup"),
    [
        ("kill", ""),
        ("vanish", ""),
        # Others would slow the launcher even more, until it never catches up.
        pytest.param("kill", SLOWLY, marks=pytest.mark.alone),
    ],
)
def test_processes_that_run_away_are_caught(launch, how: str, setup: str) -> None:
    run = launch(sys.executable, "-c", RUNAWAYS, lease=1000, setup=setup)
    for _ in range(8):
        assert run.line() == "off"
    if how == "kill":
        run.send(signal.SIGKILL)
    else:
        run.vanish()
    assert "escaped" not in run.end()[1]


# Seven generations of two children each: 255 processes, all of which wait.
TREE = """
import os, signal
for generation in range(7):
    for child in range(2):
        if os.fork() == 0:
            break
    else:
        break
os.write(1, b"up\\n")
signal.pause()
"""


def test_a_tree_ends(launch) -> None:
    run = launch(sys.executable, "-c", TREE)
    for _ in range(255):
        assert run.line() == "up"
    pids = descendants(run.process.pid)
    assert len(pids) == 255
    run.vanish()
    assert run.end()[0] == 137
    assert not any(map(is_alive, pids))


def test_silence_beyond_the_lease_ends_the_program(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS + "while True: signal.pause()", lease=0.5)
    pids = [int(run.line()), int(run.line())]
    assert run.end() == (137, "")  # and nobody said anything to it
    assert not any(map(is_alive, pids))


def test_a_pulse_keeps_the_lease(launch) -> None:
    run = launch(*shell("echo on; sleep 2.5; exit 6"), lease=2)
    assert run.line() == "on"
    while run.process.poll() is None:
        with contextlib.suppress(BrokenPipeError):
            run.send(0)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(0.2)
    assert run.process.returncode == 6


def test_the_program_ends_with_a_launcher_that_is_killed(launch) -> None:
    run = launch(*shell("echo $$", "while :; do sleep 0.01; done"))
    pid = int(run.line())
    run.process.kill()
    assert run.process.wait() == -signal.SIGKILL
    assert ended_within(5, lambda: [pid] if is_alive(pid) else [])


def test_a_program_that_ended_as_soon_as_it_was_continued_is_not_stopped() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
        assert launcher.all_are(signal.SIGCONT, ended.pid)
        assert not launcher.all_are(signal.SIGSTOP, ended.pid)
