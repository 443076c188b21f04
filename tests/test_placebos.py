"""Programs that test the harness itself: each ends as it should, and every byte is kept."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run
from quick import rest_slow

from pushpull.core.errors import ExitCode
from pushpull.core.records import Record
from pushpull.runs import store

PLACEBOS = Path(__file__).parent / "placebos"
MODULE = '''"""A placebo is run by the harness."""

from pushpull.api import Verdict, claim, experiment


@experiment(source="none", count={count}, interval=0.01)
def placebo(lab):
    {scenario}


@claim("It was seen.")
def seen(run):
    return {verdict}
'''
TEXTS = ("passes", "floods", "dies_midway", "junk", "escapes")


class Done:
    """The result of a run: what the user saw, and what is on the disk."""

    def __init__(self, call: "subprocess.CompletedProcess[str]", root: Path) -> None:
        self.code = call.returncode
        self.said = call.stdout + call.stderr
        self.run = store.load(only_run(root))

    def records(self, process: str, stream: str = "stdout", machine: str = "push") -> list[Record]:
        """Return the records of one stream, after a check that they are what its file holds."""
        whose = (machine, process, stream)
        found = [r for r in self.run.records if (r.machine, r.process, r.stream) == whose]
        assert [record.n for record in found] == list(range(len(found)))
        data, place = self.log(process, stream, machine), 0
        for record in found:
            line = data[place : place + record.length]
            assert record.offset == place
            assert b"\n" not in line
            long = len(line) > 65536
            assert record.text == (None if long else line.decode("utf-8", "backslashreplace"))
            place += record.length
            assert data[place : place + 1] in (b"\n", b"")
            place += 1
        assert len(data) in (place, place - 1)  # the last line may lack its end
        return found

    def log(self, process: str, stream: str = "stdout", machine: str = "push") -> bytes:
        """Return what a stream's file holds."""
        suffix = {"stdout": "log", "stderr": "err"}[stream]
        return (self.run.path / machine / f"{process}.{suffix}").read_bytes()

    def exits(self) -> dict[str, tuple[int, str]]:
        """Return each process' exit status, and by whom it ended."""
        ends = [event for event in self.run.events if event.event == "exit"]
        return {e.process: (e.details["status"], e.details["by"]) for e in ends}


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Done]:
    """Runs placebos in an experiment of one's own, with the line `scenario`."""

    def run(
        *programs: str,
        scenario: str = "",
        verdict: str = 'Verdict.holds("It was.")',
        count: int = 4,
        provider: str = "namespaces",
    ) -> Done:
        folder = tmp_path / "placebo"
        folder.mkdir()
        for program in programs:
            (source,) = PLACEBOS.glob(f"{program}*")
            shutil.copy(source, folder)
        scenario = scenario or f'lab.start("{programs[0]}", on="pusher").wait()'
        module = MODULE.format(scenario=scenario, verdict=verdict, count=count)
        (folder / "experiment.py").write_text(module)
        inventory = shutil.copy(PROJECT / "inventory.yaml", tmp_path)
        flags = ("--provider", provider, "--inventory", inventory, "--runs", tmp_path / "runs")
        call = fab("run-experiment", "--experiment", folder, *flags)
        assert "\nTraceback" not in call.stderr  # one of a program is indented
        return Done(call, tmp_path / "runs")

    return run


# --- They end as they should. ---------------------------------------------------------------------


def test_one_that_passes(play) -> None:
    done = play("passes")
    assert done.code == ExitCode.EXPECTED, done.said
    told = [record.text for record in done.records("passes")]
    assert told == ["push", "tcp://192.168.0.161:1234", "4", "0.01", "0", "1", "2", "3"]
    assert [r.text for r in done.records("passes", "stderr")] == ["0", "-1", "-2", "-3"]
    assert done.exits() == {"passes": (0, "itself")}


@pytest.mark.parametrize(
    ("verdict", "code"),
    rest_slow(
        [
            ('Verdict.refuted("It was not.")', ExitCode.UNEXPECTED),
            ('Verdict.not_observed("Who knows.")', ExitCode.NOT_OBSERVED),
            ("1 / 0", ExitCode.MISTAKE),
        ]
    ),
)
def test_verdicts_decide_the_exit_code(play, verdict: str, code: ExitCode) -> None:
    done = play("passes", verdict=verdict)
    assert done.code == code, done.said
    if code == ExitCode.MISTAKE:
        assert "experiment.py:13: ZeroDivisionError" in done.said


@pytest.mark.slow
def test_one_that_is_not_python(play) -> None:
    done = play("shell_script")
    assert [record.text for record in done.records("shell_script")] == ["on push with 4"]
    assert done.exits() == {"shell_script": (3, "itself")}
    assert "shell_script on push ended by itself, exit status 3" in done.said


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["namespaces", "loopback"])
def test_one_that_hangs(play, provider: str) -> None:
    done = play("hangs", verdict='Verdict.not_observed("No.")', count=1, provider=provider)
    assert done.code == ExitCode.NOT_OBSERVED, done.said
    assert "the run took too long while waiting for hangs on push" in done.said
    assert done.exits() == {"hangs": (137, "harness")}
    assert done.log("hangs") == b"on\n"


@pytest.mark.slow
def test_one_that_forks_away_from_its_parent(play) -> None:
    scenario = 'lab.first(lab.start("forks_away", on="pusher"), prints=lambda line: "left" in line)'
    done = play("forks_away", scenario=scenario)
    assert done.code == ExitCode.EXPECTED, done.said
    assert [record.text for record in done.records("forks_away")] == ["left behind"]
    # The program has ended by itself; but the launcher ends with the last of its processes.
    assert done.exits() == {"forks_away": (0, "harness")}


@pytest.mark.slow
def test_one_that_dies_in_the_middle_of_a_line(play) -> None:
    done = play("dies_midway")
    assert [r.text for r in done.records("dies_midway")] == ["a whole line", "half of a li"]
    assert done.exits() == {"dies_midway": (137, "itself")}
    assert "dies_midway on push ended by itself, exit status 137 (SIGKILL)" in done.said


@pytest.mark.slow
def test_escapes_reach_no_terminal(play) -> None:
    done = play("escapes")
    assert not {c for c in done.said if c < " " and c != "\n"}
    assert "\x9b" not in done.said
    assert "\u202e" not in done.said
    assert r"\x1b[2J" in done.said
    assert "[bold]markup[/bold]" in done.said
    assert b"\x1b[2J" in done.log("escapes")
    compared = fab("compare", "--run", done.run.path, "--runs", done.run.path.parent)
    logs = fab("logs", "--machine", "push", "--run", done.run.path.name,
               "--runs", done.run.path.parent)  # fmt: skip
    for answer in (compared, logs):
        assert answer.returncode == 0, answer.stderr
        assert not {c for c in answer.stdout if c < " " and c != "\n"}


# --- Every byte. ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "provider", ["namespaces", pytest.param("loopback", marks=pytest.mark.slow)]
)
def test_every_byte_of_all_at_once_is_kept(play, provider: str) -> None:
    """Five programs on three machines at the same time."""
    machines = ("push", "pull-1", "pull-2")
    start = f"lab.start(program, on={machines!r})"
    scenario = f"for p in [{start} for program in {TEXTS!r}]: p.wait()"
    done = play(*TEXTS, scenario=scenario, provider=provider)
    assert done.code == ExitCode.EXPECTED, done.said[-2000:]
    for program in TEXTS[1:]:  # what the first prints depends on the lab
        printed = subprocess.run(
            [sys.executable, PLACEBOS / f"{program}.py"], capture_output=True, check=False
        )
        for machine in machines:
            for stream, data in (("stdout", printed.stdout), ("stderr", printed.stderr)):
                assert done.log(program, stream, machine) == data
                done.records(program, stream, machine)


@pytest.mark.slow
def test_a_line_of_100_mb(play) -> None:
    done = play("one_line", count=1000)
    assert done.code == ExitCode.EXPECTED, done.said
    first, long, last = done.records("one_line")
    assert (first.text, long.text, last.text) == ("before", None, "after")
    assert long.length == 100_000_000
    assert len(done.said) < 10_000


# --- They don't start. ----------------------------------------------------------------------------


def refused(done: Done, machine: str, *words: str) -> None:
    """Check that the message names the machine that failed, and shows its output."""
    assert done.code == ExitCode.MISTAKE, done.said
    assert f"machine {machine}: " in done.said
    for word in words:
        assert word in done.said
    assert done.run.state == "interrupted"
    assert f"machine {machine}: " in done.run.description["error"]


READY = 'lab.start("{}", on="pusher", ready=lambda line: True)'


def test_a_syntax_error(play) -> None:
    done = play("broken", scenario=READY.format("broken"))
    refused(done, "push", "broken ended before it was ready", "  | SyntaxError: invalid syntax")


@pytest.mark.slow
def test_a_file_that_can_not_be_executed(play) -> None:
    done = play("no_program")
    assert done.code == ExitCode.MISTAKE
    assert "no_program:1: this is not a program: its first line names no interpreter" in done.said


@pytest.mark.slow
def test_an_interpreter_that_is_missing(play) -> None:
    done = play("lonely", scenario='lab.start("lonely", on=["pull-1"])')
    refused(done, "pull-1", "could not be started", "./lonely")


@pytest.mark.slow
def test_the_port_is_taken(play) -> None:
    scenario = (
        'lab.start("takes_port", on="pusher", ready=lambda line: line == "taken");'
        ' lab.start("push", on="pusher", count=1, interval=0)'
    )
    done = play("takes_port", scenario=scenario)
    refused(done, "push", "push ended before it was ready", "Address already in use")
    assert done.exits()["takes_port"] == (143, "harness")
