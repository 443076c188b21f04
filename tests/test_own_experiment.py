"""An experiment of the user's own: programs in any language, and its mistakes told as mistakes."""

import os
import shutil
import signal
import subprocess
import textwrap
from pathlib import Path

import command
import pytest

HEAD = """\
'''Does it answer?'''
from lab.claims import Run
from lab.experiment import Verdict, claim, experiment
from lab.reading import lines, printed
from lab.scenario import Lab

"""
SCENARIO = """\
@experiment(source="mine", reads=lines(received={"count": r"(\\d+)"}), count=3, interval=0.05)
def mine(lab: Lab) -> None:
    lab.start("count", on="puller").wait()

"""
CLAIM = """\
@claim("Each counts to the end.")
def counts(run: Run) -> Verdict:
    short = [name for name in run.receivers if len(run.by(name)) < len(run.planned)]
    return Verdict.refuted(str(short)) if short else Verdict.holds("they did")
"""
SHELL = """\
#!/bin/sh
n=0; while [ "$n" -lt "$LAB_COUNT" ]; do echo "$n"; n=$((n + 1)); done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an experiment that runs; a test changes it."""
    made = tmp_path / "mine"
    made.mkdir()
    (made / "experiment.py").write_text(HEAD + SCENARIO + CLAIM)
    (made / "count.sh").write_text(SHELL)
    return made


def run(folder: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    return command.fab(
        "run-experiment", "--experiment", str(folder), "--runs", str(folder.parent / "runs"), *flags
    )


def test_the_first_one_that_is_made_runs(tmp_path: Path) -> None:
    made = command.fab("new-experiment", "--path", str(tmp_path / "my-first"))
    assert made.returncode == 0, made.stderr
    ran = run(tmp_path / "my-first")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 claim: 1 as expected" in ran.stdout


def test_none_is_made_over_something(folder: Path) -> None:
    made = command.fab("new-experiment", "--path", str(folder))
    assert made.returncode == 2
    assert "there is something here already" in made.stderr


def test_a_program_in_awk_by_its_first_line(folder: Path) -> None:
    (folder / "count.sh").unlink()
    awk = shutil.which("awk")
    (folder / "count.awk").write_text(
        f'#!{awk} -f\nBEGIN {{ for (n = 0; n < ENVIRON["LAB_COUNT"]; n++) print n }}\n'
    )
    assert run(folder).returncode == 0


def test_lines_of_a_c_program_are_not_held_back(folder: Path) -> None:
    """It prints and goes on running, as a worker does: held back, its lines would never come."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: apt-get install gcc libc6-dev")
    (folder / "count.sh").unlink()
    (folder / "count.c").write_text(
        "#include <stdio.h>\n#include <unistd.h>\n"
        'int main(void) { for (int n = 0; n < 3; n++) printf("%d\\n", n); pause(); }\n'
    )
    subprocess.run([compiler, "-o", folder / "count", folder / "count.c"], check=True)
    (folder / "experiment.py").write_text(
        HEAD + SCENARIO.replace(".wait()", "\n    lab.settle()") + CLAIM
    )
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_programs_bring_files_and_are_started_twice_with_options_of_their_own(
    folder: Path,
) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "words.txt").write_text("7\n")
    (folder / "count.sh").write_text('#!/bin/sh\ncat data/words.txt; echo "$@" $LAB_HOST\n')
    (folder / "experiment.py").write_text(
        HEAD
        + textwrap.dedent(
            """\
            @experiment(source="mine", count=1, interval=0)
            def mine(lab: Lab) -> None:
                one, other = lab.machines("puller")[:2]
                lab.start("count", on=[one, one], level=3, loud=True).wait()
                lab.start("count.sh", on=other, to="pusher", level=[4, 5]).wait()

            @claim("They say so.")
            def say(run: Run) -> Verdict:
                said = [(r.machine, r.process, r.text) for r in printed(run, "count")]
                return Verdict.holds(str(said))
            """
        )
    )
    ran = run(folder)
    text = " ".join(ran.stdout.split())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for word in ("--level 3 --loud", "--level 4 --level 5", "'count.2', '7'"):
        assert word in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("@claim", "@@claim"), 11, "SyntaxError"),
        (("from lab.claims import Run", "from lab.claims import Runn"), 2, "ImportError"),
        (("def mine(lab: Lab)", "def mine()"), 7, "TypeError"),
        (('"count", on=', '"cuont", on='), 9, "there is no program 'cuont'"),
        (('on="puller"', 'on="pullers"'), 9, "no machine has the name or the role 'pullers'"),
        (("run.planned", "run.plans"), 13, "AttributeError"),
        (("return Verdict.refuted", "Verdict.refuted"), 11, "returned None, no Verdict"),
        (('r"(\\d+)"', 'r"(x?)\\d+"'), 9, "is no number in '0'"),
        (('r"(\\d+)"', 'r"\\d+"'), 7, "has no group"),
        (("count=3", "count=3, needs=['no-such-tool']"), None, "needs no-such-tool"),
        (("count=3", "count=3, needs=['python:nosuch']"), None, "-m pip install nosuch"),
        (("import Lab", "import Lab\nraise SystemExit(3)"), 6, "SystemExit"),
        (("count=3", "count=3, grace=-1"), 7, "grace=-1 is no number of seconds"),
        (("count=3", "count=3, grace='long'"), 7, "TypeError"),
    ],
    ids=str,
)
def test_a_mistake_in_the_module_is_told_with_its_line(
    folder: Path, change: tuple[str, str], line: int | None, said: str
) -> None:
    module = folder / "experiment.py"
    module.write_text(module.read_text().replace(*change))
    ran = run(folder)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert said in ran.stderr
    assert line is None or f"{module}:{line}" in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_mistake_in_a_file_beside_the_module_is_told_with_its_place(folder: Path) -> None:
    (folder / "helper.py").write_text("def judge(run):\n    return 1 / 0\n")
    (folder / "experiment.py").write_text(
        HEAD
        + "import helper\n"
        + SCENARIO
        + '@claim("c")\ndef counts(run: Run) -> Verdict:\n    return helper.judge(run)\n'
    )
    ran = run(folder)
    assert ran.returncode == 2
    assert f"{folder / 'helper.py'}:2: ZeroDivisionError" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo 0\n", "count.sh:1: this is no program"),
        ("#!/bin/sh\r\necho 0\r\n", "count.sh:1: the first line ends as on Windows"),
        ("#!/no/such/interpreter\n", "machine pull-"),
    ],
)
def test_a_program_that_no_system_could_start_is_told(
    folder: Path, program: str, said: str
) -> None:
    (folder / "count.sh").write_bytes(program.encode())
    ran = run(folder)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


# --- The lab's files and the user's; what is the program's doing and what the lab's. --------------

SAYS = """\
@claim("It says what it should.")
def says(run: Run) -> Verdict:
    said = " ".join(sorted(r.text for r in printed(run, "count")))
    return Verdict.holds(said) if said == {!r} else Verdict.refuted(said)
"""


def says(folder: Path, program: str, expected: str, *, scenario: str = SCENARIO) -> str:
    """Run a shell program on one machine; its lines, sorted, are what was expected."""
    (folder / "count.sh").write_text("#!/bin/sh\n" + program)
    (folder / "count.sh").chmod(0o755)  # `count` is it, whatever else is called so
    one = scenario.replace('reads=lines(received={"count": r"(\\d+)"}), ', "").replace(
        'on="puller"', 'on="pull-1"'
    )
    (folder / "experiment.py").write_text(HEAD + one + SAYS.format(expected))
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_no_file_of_the_users_takes_the_place_of_one_of_the_labs(folder: Path) -> None:
    names = ["launcher.py", "guard.py", "sniffer.py", "count.notes", "push.py", "pull.py", "os.py"]
    for name in names:
        (folder / name).write_text(f"raise SystemExit('mine: {name}')\n")
    says(folder, "cat " + " ".join(names) + " | cut -d' ' -f3", " ".join(
        sorted(f"{name}')" for name in names)
    ))  # fmt: skip


@pytest.mark.slow
def test_a_program_of_the_users_comes_before_the_labs_of_that_name(folder: Path) -> None:
    (folder / "push.py").write_text("print('mine')\n")
    module = HEAD + SCENARIO.replace('"count", on=', '"push", on=') + SAYS.replace(
        'printed(run, "count")', 'printed(run, "push")'
    ).format("mine mine")  # fmt: skip
    (folder / "experiment.py").write_text(module)
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_a_module_of_the_users_is_none_for_the_labs_programs(folder: Path) -> None:
    """The lab's own programs import `json`, `zmq` and others: theirs, not those beside them."""
    for name in ("json.py", "zmq.py", "argparse.py"):
        (folder / name).write_text("raise SystemExit('mine')\n")
    scenario = """\
@experiment(source="mine", count=3, interval=0.05)
def mine(lab: Lab) -> None:
    pullers = lab.start("pull", on="puller", to="pusher")
    lab.start("push", on="pusher", **lab.plan).wait()
    lab.end(pullers)

@claim("They are sent.")
def sent(run: Run) -> Verdict:
    said = [r.text for r in printed(run, "push")]
    return Verdict.holds("so") if said == ["0", "1", "2"] else Verdict.refuted(str(said))
"""
    (folder / "experiment.py").write_text(HEAD + scenario)
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_what_can_be_executed_here_can_be_there(folder: Path) -> None:
    (folder / "tools").mkdir()
    for name, mode in (("helper.py", 0o755), ("tools/helper", 0o744), ("data.sh", 0o644)):
        (folder / name).write_text("#!/bin/sh\necho ran\n")
        (folder / name).chmod(mode)
    program = "./helper.py; tools/helper; test -x data.sh || echo data; test -w data.sh && echo w\n"
    says(folder, program, "data ran ran w")


@pytest.mark.slow
@pytest.mark.parametrize("status", [1, 125, 126, 127, 137])
def test_a_bad_exit_status_is_the_programs_own(folder: Path, status: int) -> None:
    said = says(folder, f"echo ran; exit {status}\n", "ran")
    assert f"count on pull-1 ended by itself, exit status {status}" in said


LEAVES = """\
trap 'i=0; while [ $i -lt 30 ]; do i=$((i + 1)); sleep 0.1; done; echo total; exit 0' TERM
echo up
while :; do sleep 0.05; done
"""


@pytest.mark.slow
@pytest.mark.parametrize(("grace", "expected"), [(0.5, "up"), (20, "total up")])
def test_a_program_has_its_grace_to_end(folder: Path, grace: float, expected: str) -> None:
    scenario = SCENARIO.replace("count=3", f"count=3, grace={grace}").replace(
        'lab.start("count", on="puller").wait()',
        'lab.end(lab.start("count", on="puller", ready=lambda line: line == "up"))',
    )
    said = says(folder, LEAVES, expected, scenario=scenario)
    killed = f"count on pull-1 was killed: it had not ended {grace} s after SIGTERM"
    assert (killed in said) == (grace < 1)


# --- Files that programs leave. -------------------------------------------------------------------

WRITES = """\
mkdir out; echo "$LAB_MACHINE" > out/results.csv; echo more >> data.txt
ln -s /etc/hostname link; mkfifo fifo; echo "$(date)" > .hidden
echo written
"""


def test_what_programs_left_is_in_the_run(folder: Path) -> None:
    (folder / "data.txt").write_text("some\n")
    (folder / "other.txt").write_text("not touched\n")
    says(folder, WRITES, "written")
    run_path = command.only_run(folder.parent / "runs")
    files = run_path / "pull-1" / "files"
    assert (files / "out" / "results.csv").read_text() == "pull-1\n"
    assert (files / "data.txt").read_text() == "some\nmore\n"
    assert sorted(p.name for p in files.rglob("*")) == ["data.txt", "out", "results.csv"]
    (told,) = [e for e in command.events(run_path) if e["event"] == "fetched"]
    assert told["files"] == 2
    assert set(told["left_out"]) == {"link", "fifo"}


@pytest.mark.slow
def test_a_scenario_fetches_a_file(folder: Path) -> None:
    (folder / "count.sh").write_text("#!/bin/sh\necho 7 > made; echo on; sleep 100\n")
    (folder / "experiment.py").write_text(
        HEAD
        + textwrap.dedent(
            """\
            @experiment(source="mine", count=1, interval=0)
            def mine(lab: Lab) -> None:
                counts = lab.start("count", on="puller", ready=lambda line: line == "on")
                words = [lab.fetch(process, "made").read_text().strip() for process in counts]
                lab.end(counts)
                assert words == ["7", "7"]
                lab.fetch("pull-1", "none")
            """
        )
        + CLAIM
    )
    ran = run(folder)
    assert ran.returncode == 2
    assert "machine pull-1: none can't be fetched: No such file or directory" in ran.stderr
    events = command.events(command.only_run(folder.parent / "runs"))
    assert [e["files"] for e in events if e["event"] == "fetched"] == [1, 1]


@pytest.mark.slow
def test_what_programs_left_is_in_a_run_that_was_interrupted(folder: Path) -> None:
    (folder / "count.sh").write_text("#!/bin/sh\necho 7 > made; echo 0; sleep 100\n")
    flags = ("--experiment", folder, "--runs", folder.parent / "runs")
    with command.started("run-experiment", *flags) as lab:
        command.read_until(lab, "pull-1 | 0")
        os.killpg(lab.pid, signal.SIGINT)
        said = lab.communicate()[0]
    assert lab.returncode == 4, said
    run_path = command.only_run(folder.parent / "runs")
    assert (run_path / "pull-1" / "files" / "made").read_text() == "7\n"
