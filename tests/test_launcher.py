"""The launcher: whatever a program starts is signalled with it, and ends with it."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from leftovers import descendants, ended_within, is_alive

from lab import launcher, sniffer

HERE = str(Path(__file__).parent)


class Launched:
    """A launcher with its program, and a line to it."""

    def __init__(self, process: "subprocess.Popen[bytes]", notes: Path) -> None:
        self.process = process
        self._notes = notes

    def line(self) -> str:
        """Return the next line that the program, or one of its descendants, prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def send(self, number: int) -> None:
        """Order a signal."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % number)
        self.process.stdin.flush()

    def vanish(self) -> None:
        """Do as a harness that is gone."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> tuple[int, str]:
        """Wait for the launcher's end; return its exit status, and what else was printed."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read().decode()
        return self.process.wait(), rest

    def notes(self) -> dict[str, str]:
        """Return what the launcher noted, by the word that a line begins with."""
        if not self._notes.exists():
            return {}
        return dict(line.partition(" ")[::2] for line in self._notes.read_text().splitlines())


@pytest.fixture
def launch(tmp_path: Path) -> Iterator:
    """Starts a program under a launcher; it prints to one pipe."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *argv: str,
        cwd: str = HERE,
        lease: float = 30,
        before: bytes = b"",
        order: bytes | None = None,
        by_line: bool = False,
        setup: str = "",
        **env: str,
    ) -> Launched:
        code = f"from lab import launcher; launcher.LEASE_S = {lease}\n{setup}\nlauncher.main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=Path(HERE).parent,
        )
        started.append(process)
        assert process.stdin is not None
        notes = tmp_path / f"{len(started)}.notes"
        if order is None:
            order = launcher.order(list(argv), env, cwd, str(notes), by_line=by_line)
        process.stdin.write(before + order)
        process.stdin.flush()
        return Launched(process, notes)

    yield start
    for process in started:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        process.stdout.close()


def shell(*lines: str) -> tuple[str, str, str]:
    return ("sh", "-c", "\n".join(lines))


# --- The program's exit status is the launcher's. -------------------------------------------------


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143), ("exit 255", 255)],
)
def test_exit_status(launch, script: str, status: int) -> None:
    assert launch(*shell(script)).end() == (status, "")


def test_a_program_that_is_not_there(launch) -> None:
    status, said = launch("/nowhere/program").end()
    assert (status, said) == (
        127,
        "/nowhere/program: cannot be started: No such file or directory\n",
    )


def test_a_program_that_may_not_be_executed(launch, tmp_path: Path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    status, said = launch("./program", cwd=str(tmp_path)).end()
    assert (status, said) == (127, "./program: cannot be started: Permission denied\n")


def test_the_status_is_the_programs_though_others_end_later(launch) -> None:
    run = launch(*shell("(sleep 0.1; echo late; exit 9) & exit 4"))
    assert run.end() == (4, "late\n")


# --- What the launcher reports of itself is in its notes: a program may exit with any status. -----


@pytest.mark.parametrize("status", [125, 126, 127])
def test_a_program_that_ran_has_its_own_status(launch, status: int) -> None:
    run = launch(*shell(f"echo ran; exit {status}"))
    assert run.end() == (status, "ran\n")
    assert list(run.notes()) == ["pid"]


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (None, 0, "No such file or directory"),
        ("#!/no/such/interpreter\n", 0o755, "No such file or directory"),
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("\x7fELF of no machine", 0o755, "Exec format error"),
    ],
)
@pytest.mark.parametrize("by_line", [False, True])
def test_a_program_that_the_system_refused_is_noted(
    launch, tmp_path: Path, text: str | None, mode: int, why: str, by_line: bool
) -> None:
    if text is not None:
        (tmp_path / "program").write_text(text)
        (tmp_path / "program").chmod(mode)
    run = launch("./program", cwd=str(tmp_path), by_line=by_line)
    assert run.end()[0] == launcher.NOT_STARTED
    assert run.notes()["not-started"] == why


def test_pulses_before_the_order_are_leases(launch) -> None:
    assert launch(*shell("echo ran"), before=b"0\n" * 3).end() == (0, "ran\n")


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (b"", "standard input has ended"),
        (b"0\n0\n", "standard input has ended"),
        (b"12\nshort", "standard input has ended"),
        (b"5\nhello", "what came is no order"),
        (b"12\na\0b\0c\0d\0e\0f", "standard input has ended"),
        (b"11\na\0b\0\0no\0e\0f", "what came is no order"),
        (b"-1\n", "is no number"),
        (b"Welcome to this machine\n", "is no number"),
        (b"9" * 4000, "is no number"),
        (b"11\n\0/no/such/folder/notes\0\x000\0true", "is no order"),
    ],
)
def test_an_order_that_never_comes_is_an_error(launch, order: bytes, said: str) -> None:
    run = launch(order=order)
    run.vanish()
    status, printed = run.end()
    assert status == launcher.FAILED
    assert printed.startswith("launcher: no program was run: ")
    assert said in printed
    assert run.notes() == {}


def test_silence_instead_of_an_order_is_an_error(launch) -> None:
    status, said = launch(order=b"0\n7\n", lease=0.3).end()
    assert (status, "no order came within" in said) == (launcher.FAILED, True)


@pytest.mark.parametrize("words", [b"hello\n", b"999\n", b"\n", b"1" * 100, b"-9\n"])
def test_what_is_no_signal_ends_the_program(launch, words: bytes) -> None:
    run = launch(*shell("echo on", "while :; do sleep 0.01; done"))
    assert run.line() == "on"
    run.process.stdin.write(words)
    run.process.stdin.flush()
    assert run.end() == (137, "")
    assert "misunderstood" in run.notes()


def test_a_lease_that_ran_out_is_noted(launch) -> None:
    run = launch(*shell("while :; do sleep 0.01; done"), lease=0.3)
    assert run.end()[0] == 137
    assert float(run.notes()["lease"]) > 0


# --- What the program gets. -----------------------------------------------------------------------


def test_folder_environment_and_empty_input(launch, tmp_path: Path) -> None:
    run = launch(*shell("pwd; echo $WORD; cat; echo end"), cwd=str(tmp_path), WORD="a\nb=é")
    assert run.end() == (0, f"{tmp_path}\na b=é\nend\n")


def test_a_broken_pipe_ends_it_as_in_a_shell(launch) -> None:
    run = launch(*shell("yes | head -n 1"))
    assert run.end() == (0, "y\n")


def test_an_order_that_comes_byte_by_byte(launch) -> None:
    run = launch(*shell("trap 'echo got; exit 6' USR1", "echo on", "while :; do sleep 0.01; done"))
    assert run.line() == "on"
    for byte in b"10\n":
        run.process.stdin.write(bytes([byte]))
        run.process.stdin.flush()
    status, said = run.end()
    assert status == 6
    assert said.endswith("got\n")


# --- All of its processes. ------------------------------------------------------------------------

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


def test_a_hang_up_ends_the_program_all_the_same(launch) -> None:
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


def test_who_ignores_all_ends_too(launch) -> None:
    run = launch(*shell("trap '' TERM INT HUP", "echo on", "while :; do sleep 0.01; done"))
    assert run.line() == "on"
    run.send(signal.SIGTERM)
    run.vanish()
    assert run.end()[0] == 137


def test_who_is_stopped_ends_too(launch) -> None:
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
def test_a_process_that_it_may_not_signal_is_no_end_of_the_launcher(
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


@pytest.mark.parametrize("how", ["kill", "vanish"])
def test_processes_that_run_away_are_caught(launch, how: str) -> None:
    run = launch(sys.executable, "-c", RUNAWAYS, lease=1000)
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


def test_silence_beyond_the_lease_is_an_end(launch) -> None:
    run = launch(sys.executable, "-c", DAEMONS + "while True: signal.pause()", lease=0.5)
    pids = [int(run.line()), int(run.line())]
    assert run.end() == (137, "")  # and nobody said anything to it
    assert not any(map(is_alive, pids))


def test_a_pulse_keeps_the_lease(launch) -> None:
    run = launch(*shell("echo on; sleep 1.5; exit 6"), lease=0.75)
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


# --- The sniffer, which may run as root: no launcher could end it. --------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen on a link")
def test_the_sniffer_ends_with_its_input() -> None:
    argv = [sys.executable, "-IS", sniffer.__file__, "127.0.0.1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(argv, **pipes) as process:
        assert process.stderr.readline() == b"listening\n"
        process.stdin.write(b"0\n")
        process.stdin.close()
        assert process.stdout.read(4) == b"\xd4\xc3\xb2\xa1"  # a pcap file, little-endian
        process.stdout.read()
        assert process.wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may listen on a link")
def test_the_sniffer_ends_when_it_hears_nothing() -> None:
    code = "from lab import sniffer; sniffer.LEASE_S = 0.3; sniffer.main()"
    argv = [sys.executable, "-c", code, "127.0.0.1"]
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=Path(HERE).parent, **output) as process:
        assert process.wait() == 0
