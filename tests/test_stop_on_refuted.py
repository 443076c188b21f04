"""`--stop-on-refuted`: all is still up at the prompt where an invariant was broken."""

import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import FAB, PROJECT, fab, only_run
from engine_play import Play, untraced
from fake_machine import FakeProcess

from pushpull.cli import prompt
from pushpull.core.errors import ExitCode
from pushpull.engine import runner
from pushpull.engine.monitor import RunMonitor
from pushpull.engine.request import RunRequest
from pushpull.runs import store

EXPERIMENT = '''"""It breaks at its tenth line."""

from pushpull.api import Verdict, claim, experiment, lines


@experiment(source="s", reads=lines(sent={"count": r"(\\d+)"}), interval=0)
def breaks(lab):
    lab.always(lambda seen: seen.sent < 10, "fewer than ten were sent")
    lab.start("count", on="pull-1").wait()


@claim("It is seen.")
def seen(run):
    return Verdict.holds("yes")
'''
COUNT = "import time\nn = 0\nwhile True:\n    print(n)\n    n += 1\n    time.sleep(0.01)\n"


def test_nothing_has_ended_and_waits_work(
    play: Play, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: dict[str, Any] = {}

    def when_broken(lab: Any, manager: Any, statement: str) -> None:
        noted["ended"] = [process.ended for process in manager.processes]
        monitor: RunMonitor = manager.monitor
        monitor.wait(lambda: monitor.sent >= 5, "more")  # raises nothing of what was broken
        noted["limit"] = monitor.plan.limit(0, 0, 0)
        noted["statement"] = statement

    real = runner.deploy_and_play

    def with_prompt(request: RunRequest, *others: Any) -> Any:
        return real(replace(request, when_broken=when_broken), *others)

    def prints(process: FakeProcess) -> None:
        process.prints("0", "1", "2")
        process.prints("3", "4", "5")
        process.wait()

    monkeypatch.setattr(runner, "deploy_and_play", with_prompt)
    scenario = "lab.always(lambda seen: seen.sent < 3, 'few'); lab.let_pass(60)"
    done = play(untraced(prints), untraced(lambda p: p.wait()), scenario=scenario)
    assert noted == {"ended": [False, False], "limit": float("inf"), "statement": "few"}
    assert done.stored.description["cut"].endswith("few.")


def test_without_a_terminal_it_says_how_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    view, lab = SimpleNamespace(close=lambda: None), SimpleNamespace(path=Path("runs/a b"))
    manager: Any = None
    prompt.stop(view, lab, manager, "\x1b[31m")  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "open --run 'runs/a b'" in said
    assert "\x1b" not in said


def test_it_goes_with_no_repetition() -> None:
    done = fab("run-experiment", "--stop-on-refuted", "--repeat", "2")
    assert done.returncode == ExitCode.MISTAKE
    assert "can't be combined" in done.stderr


@pytest.mark.slow
def test_a_prompt_in_a_lab_that_is_up(tmp_path: Path) -> None:
    folder = tmp_path / "breaks"
    folder.mkdir()
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "count.py").write_text(COUNT)
    (tmp_path / "inventory.yaml").write_text((PROJECT / "inventory.yaml").read_text())
    where = ("--inventory", str(tmp_path / "inventory.yaml"), "--provider", "namespaces")
    flags = ("--experiment", str(folder), "--runs", str(tmp_path / "runs"), *where)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*FAB, "run-experiment", "--stop-on-refuted", *flags],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as run:
        os.close(theirs)
        assert b"fewer than ten were sent" in _until(ours, b">>> ")
        os.write(ours, b"pull_1.run('hostname')\n")
        assert b"\r\npull-1\r\n" in _until(ours, b">>> ")
        there = fab("ssh", "--machine", "pull-2", *where, "--", "hostname")
        assert (there.returncode, there.stdout) == (0, "pull-2\n"), there.stderr
        os.write(ours, b"lab.kill(processes['count on pull-1'])\n")
        _until(ours, b">>> ")
        os.write(ours, b"\x04")
        _until(ours, b"page:")
        os.close(ours)
        assert run.wait(60) == ExitCode.NOT_OBSERVED
    events = store.load(only_run(tmp_path / "runs")).events
    assert [e.details["fault"] for e in events if e.event == "fault"] == ["kill"]
    assert "not up" in fab("status", *where).stdout


def _until(terminal: int, word: bytes) -> bytes:
    found = b""
    while word not in found:
        found += os.read(terminal, 65536)
    return found
