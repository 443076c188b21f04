"""The launcher: everything that a program starts is signalled and ends with it."""

from pathlib import Path

import pytest
from launched import shell

from pushpull.machines.agent import launcher

# --- The program's exit status is the launcher's. -------------------------------------------------


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143), ("exit 255", 255)],
)
def test_exit_status(launch, script: str, status: int) -> None:
    assert launch(*shell(script)).end() == (status, "")


def test_a_program_that_does_not_exist(launch) -> None:
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
        (b"5\nhello", "the input is not an order"),
        (b"12\na\0b\0c\0d\0e\0f", "standard input has ended"),
        (b"11\na\0b\0\0no\0e\0f", "the input is not an order"),
        (b"-1\n", "is not a number"),
        (b"Welcome to this machine\n", "is not a number"),
        (b"9" * 4000, "is not a number"),
        (b"11\n\0/no/such/folder/notes\0\x000\0true", "is not an order"),
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
    assert (status, "no order arrived within" in said) == (launcher.FAILED, True)


@pytest.mark.parametrize("words", [b"hello\n", b"999\n", b"\n", b"1" * 100, b"-9\n"])
def test_an_invalid_signal_ends_the_program(launch, words: bytes) -> None:
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
