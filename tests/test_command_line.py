"""`fab` from a shell: exit codes, and one clear message for each mistake of the user."""

import itertools
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import command
import mutations
import pytest
from invoke import Context
from mutations import Edit
from quick import rest_slow
from story import RECORDED

from pushpull.cli.tasks import making
from pushpull.core.errors import ExitCode, worst
from pushpull.engine.judge import exit_code

RUN = "run-experiment"


def refused(*arguments: object, cwd: Path | None = None) -> str:
    """Call `fab` with a mistake, and return its message."""
    done = command.fab(*arguments, cwd=cwd)
    assert done.returncode == ExitCode.MISTAKE, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


# -- the user's mistakes ---------------------------------------------------------------------


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Undo what a task that is called as a function does to the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("count", "x", ["--count", "'x'", "whole number"]),
        ("count", "0", ["--count", "'0'"]),
        ("count", "-1", ["--count", "'-1'"]),
        ("count", "1.5", ["--count", "'1.5'"]),
        ("count", "1e3", ["--count", "'1e3'"]),
        ("count", "٣", ["--count", "'٣'"]),
        ("count", "9" * 5000, ["--count", "whole number"]),
        ("interval", "soon", ["--interval", "'soon'", "0.05"]),
        ("interval", "-1", ["--interval", "'-1'"]),
        ("interval", "nan", ["--interval", "'nan'"]),
        ("interval", "inf", ["--interval", "'inf'"]),
        ("set", ["SNDHWM"], ["--set", "'SNDHWM'", "SNDHWM=1"]),
        ("set", ["SNDHWM=many"], ["--set", "'SNDHWM=many'"]),
        ("set", ["sndhwm=1"], ["--set", "'sndhwm'", "capital letters"]),
        ("set", ["SNDHWM=1", "X"], ["--set", "'X'"]),
        ("provider", "moon", ["'moon'", "namespaces", "loopback", "ssh"]),
        ("experiment", "round_robbin", ["'round_robbin'", "did you mean 'round_robin'"]),
        ("experiment", "nowhere/own", ["nowhere/own", "fab experiments"]),
        ("experiment", "own.py", ["own.py"]),
        ("inventory", "nowhere.yaml", ["nowhere.yaml"]),
    ],
)
@pytest.mark.usefixtures("own_signals")
def test_a_wrong_value(
    flag: str,
    value: Any,
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(command.PROJECT)
    with pytest.raises(SystemExit) as stop:
        making.run_experiment(Context(), **{flag: value})
    assert stop.value.code == ExitCode.MISTAKE
    said = capsys.readouterr()
    assert said.out == ""
    assert all(word in said.err for word in words), said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        *rest_slow(
            [
                ([RUN, "--count", "x"], ["--count", "'x'", "whole number"]),
                ([RUN, "--interval=-1"], ["--interval", "'-1'"]),
                ([RUN, "--set", "SNDHWM=1", "--set", "X"], ["--set", "'X'"]),
                ([RUN, "--runs", "/proc/runs"], ["/proc/runs"]),
            ]
        ),
        *rest_slow(
            [
                ([RUN, "--cuont", "20"], ["--cuont", "--help TASK"]),
                ([RUN, "20"], ["20", "--help TASK"]),
                (["frobnicate"], ["frobnicate", "--list"]),
                (["ssh"], ["machine"]),
            ]
        ),
        *rest_slow(
            [
                (["ssh", "--machine", "nobody"], ["nobody", "pull-1"]),
                (["compare", "--runs", "nowhere"], ["nowhere", "run-experiment"]),
                (["compare", "--run", RECORDED / "kill_worker", "--against", "x"], ["no run"]),
                (["logs", "--machine", "nobody", "--run", RECORDED / "kill_worker"], ["nobody"]),
            ]
        ),
    ],
    ids=lambda value: "-".join(map(str, value))[:30],
)
def test_a_mistake(arguments: list[object], words: list[str]) -> None:
    said = refused(*arguments, cwd=command.PROJECT)
    assert all(word in said for word in words), said


def test_all_mistakes_of_an_inventory_at_once(tmp_path: Path) -> None:
    text = (command.PROJECT / "inventory.yaml").read_text()
    wrong = text.replace("192.168.0.163", "192.168.0.162").replace("role: pusher", "role: no")
    (tmp_path / "wrong.yaml").write_text(wrong)
    said = refused(RUN, "--inventory", "wrong.yaml", cwd=tmp_path)
    assert said.count("wrong.yaml:") >= 2
    assert "192.168.0.162" in said


def test_an_inventory_without_pullers(tmp_path: Path) -> None:
    text = (command.PROJECT / "inventory.yaml").read_text()
    (tmp_path / "inventory.yaml").write_text(text.replace("role: puller", "role: pusher"))
    assert "puller" in refused(RUN, cwd=tmp_path)


def test_an_option_that_the_library_lacks(tmp_path: Path) -> None:
    """Only the program can know: its machine is named, and its last lines are shown."""
    done = command.fab(RUN, "--experiment", "round_robin", "--set", "NOPE=1", "--runs", tmp_path)
    assert done.returncode == ExitCode.MISTAKE
    assert "NOPE" in done.stderr


# -- each exit code --------------------------------------------------------------------------


def test_expected(tmp_path: Path) -> None:
    done = command.fab(RUN, "--experiment", "kill_worker", "--interval", "0.05", "--runs", tmp_path)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    assert str(command.only_run(tmp_path)) in done.stdout
    assert "again: ./fab run-experiment --experiment kill_worker" in done.stdout


@pytest.mark.slow
def test_not_observed(tmp_path: Path) -> None:
    """Five messages are too few for message 7 to be printed: nobody is killed."""
    done = command.fab(
        RUN, "--experiment", "kill_worker", "--count", 5, "--interval", 0.01, "--runs", tmp_path
    )
    assert done.returncode == ExitCode.NOT_OBSERVED
    assert "never printed the line that is the trigger" in done.stdout
    found = command.verdicts(command.only_run(tmp_path))
    assert {verdict["verdict"] for verdict in found} == {"not observed"}


@pytest.mark.slow
def test_unexpected(tmp_path: Path) -> None:
    environment = mutations.mutated_lab(tmp_path, mutations.PROGRAMS["puller prints twice"])
    done = command.fab(
        RUN, "--experiment", "round_robin", "--interval", 0.01,
        cwd=tmp_path, environment=environment,
    )  # fmt: skip
    assert done.returncode == ExitCode.UNEXPECTED
    first = done.stdout[done.stdout.index("✗") :]
    assert first.startswith("✗ round_robin.each_to_exactly_one")  # failures come first
    assert "Message 12 was received twice." in done.stdout


def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends the call: what came so far is judged, further experiments don't run."""
    with command.started(RUN, "--interval", 0.1, "--runs", tmp_path) as fab:
        said = command.read_until(fab, "3 , ")
        fab.send_signal(signal.SIGINT)
        said += fab.communicate()[0]
    assert fab.returncode == ExitCode.INTERRUPTED, said
    assert "Traceback" not in said
    assert command.verdicts(command.only_run(tmp_path))


@pytest.mark.slow
def test_a_bug_of_our_own(tmp_path: Path) -> None:
    """Its traceback is in its run directory; the other experiments run all the same."""
    broken = Edit("experiments/kill_worker.py", "leaving.none_comes_twice(run)", "run.no_such")
    environment = mutations.mutated_lab(tmp_path, [broken])
    done = command.fab(RUN, "--count", 9, "--interval", 0.01, cwd=tmp_path, environment=environment)
    assert done.returncode == ExitCode.BUG, done.stdout + done.stderr
    assert "traceback.txt" in done.stderr
    runs = {run.name.partition("Z-")[2]: run for run in (tmp_path / "runs").glob("*Z-*")}
    assert len(runs) == 4
    assert [name for name in runs if (runs[name] / "traceback.txt").exists()] == ["kill_worker"]
    assert "no_such" in (runs["kill_worker"] / "traceback.txt").read_text()
    assert (runs["kill_worker"] / "records.jsonl").stat().st_size


# -- which code counts -----------------------------------------------------------------------


def test_the_worst_code_counts() -> None:
    order = [ExitCode(code) for code in (70, 4, 2, 1, 3, 0)]
    for some in itertools.combinations(order, 2):
        assert worst(some) == worst(reversed(some)) == some[0]
    assert worst([]) == ExitCode.EXPECTED


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 0),
        (["holds holds", "refuted refuted"], 0),
        (["not-observed holds by-chance"], 0),
        (["not-observed holds by-chance", "not-observed holds"], 3),
        (["refuted holds by-chance"], 1),
        (["holds refuted by-chance"], 1),
        (["not-observed holds", "refuted holds"], 1),
        (["not-observed refuted"], 3),
    ],
)
def test_the_code_of_verdicts(verdicts: Sequence[str], code: int) -> None:
    """Each verdict is given as outcome, expected outcome, and whether it depends on chance."""
    told = (verdict.split() for verdict in verdicts)
    stored = [
        {"verdict": v.replace("-", " "), "expected": e, "by_chance": bool(c)} for v, e, *c in told
    ]
    assert exit_code(stored) == code


@pytest.mark.slow
def test_two_recorded_runs_compared(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(RECORDED / "round_robin", tmp_path / name)
    done = command.fab("compare", "--runs", tmp_path, "--run", "one", "--against", "two")
    assert done.returncode == ExitCode.EXPECTED, done.stderr
