"""A user's own experiment: programs in any language, and its mistakes reported as such."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import command
import pytest
from own_folder import CLAIM, HEAD, SCENARIO, run
from quick import rest_slow

from pushpull.runs import store


def test_the_first_experiment_that_is_created_runs(tmp_path: Path) -> None:
    made = command.fab("new-experiment", "--path", str(tmp_path / "my-first"))
    assert made.returncode == 0, made.stderr
    ran = run(tmp_path / "my-first")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 claim: 1 as expected" in ran.stdout


def test_nothing_is_created_over_something_else(folder: Path) -> None:
    made = command.fab("new-experiment", "--path", str(folder))
    assert made.returncode == 2
    assert "already exists and is not empty" in made.stderr


CRLF = """\
#!/bin/sh
n=0; while [ "$n" -lt "$LAB_COUNT" ]; do printf '%d\\r\\n' "$n"; n=$((n + 1)); done
"""
BARS = """\
import sys
for number in range(3):
    for percent in range(0, 101, 5):
        sys.stdout.write("\\r[%-20s] %3d%%" % ("#" * (percent // 5), percent))
    sys.stdout.write("\\r%d\\n" % number)
"""
STARTED = """lab.start("count", on="puller")
    lab.first(counts, prints="2".__eq__)
    counts.wait()"""
OWN_READER = """\
def read(record):
    if record.stream == "stdout" and record.text.isdigit():
        names = {"machine": record.machine, "process": record.process}
        return Message(kind="received", number=int(record.text), n=record.n, t=record.t, **names)

"""


@pytest.mark.parametrize("own_reader", rest_slow([False, True]))
@pytest.mark.parametrize(("name", "program"), rest_slow([("count.sh", CRLF), ("count.py", BARS)]))
def test_a_program_that_prints_carriage_returns(
    folder: Path, name: str, program: str, own_reader: bool
) -> None:
    """What a terminal shows in the end is read and on the screen; the log has all of it."""
    (folder / "count.sh").unlink()
    (folder / name).write_text(program)
    scenario = SCENARIO.replace('lab.start("count", on="puller").wait()', "counts = " + STARTED)
    text = HEAD + scenario + CLAIM
    if own_reader:
        text = text.replace('lines(received={"count": r"(\\d+)"})', "read")
        text = text.replace("@experiment", OWN_READER + "\n@experiment")
        text = text.replace("import Lab,", "import Lab, Message,")
    (folder / "experiment.py").write_text(text)
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 claim: 1 as expected" in ran.stdout
    assert re.search(r"^pull-1 +\| 2$", ran.stdout, re.MULTILINE)
    stored = command.only_run(folder.parent / "runs")
    log = stored / "pull-1" / "count.log"
    assert log.read_bytes().count(b"\r") == (3 if name == "count.sh" else 3 * 22)
    texts = [r.text or "" for r in store.load(stored).records if r.machine == "pull-1"]
    assert "".join(f"{text}\n" for text in texts).encode() == log.read_bytes()


@pytest.mark.slow
def test_a_program_in_awk_by_its_first_line(folder: Path) -> None:
    (folder / "count.sh").unlink()
    awk = shutil.which("awk")
    (folder / "count.awk").write_text(
        f'#!{awk} -f\nBEGIN {{ for (n = 0; n < ENVIRON["LAB_COUNT"]; n++) print n }}\n'
    )
    assert run(folder).returncode == 0


@pytest.mark.slow
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
        (("@claim", "@@claim"), 8, "SyntaxError"),
        (("import Lab, Run,", "import Lab, Runn,"), 2, "ImportError"),
        (("def mine(lab: Lab)", "def mine()"), 4, "TypeError"),
        (('"count", on=', '"cuont", on='), 6, "there is no program 'cuont'"),
        (('on="puller"', 'on="pullers"'), 6, "no machine has the name or the role 'pullers'"),
        (("run.planned", "run.plans"), 10, "AttributeError"),
        (("return Verdict.refuted", "Verdict.refuted"), 8, "returned None instead of a Verdict"),
        (('r"(\\d+)"', 'r"(x?)\\d+"'), 4, "finds no number in '0'"),
        (('r"(\\d+)"', 'r"\\d+"'), 4, "has no group"),
        (
            ("count=3", "count=3, needs=['no-such-tool']"),
            None,
            "lacks what this experiment needs: no-such-tool",
        ),
        (("count=3", "count=3, needs=['python:nosuch']"), None, "-m pip install nosuch"),
        (("\n\n@experiment", "\nraise SystemExit(3)\n@experiment"), 3, "SystemExit"),
        (("count=3", "count=3, grace=-1"), 4, "grace=-1 is not a number of seconds"),
        (("count=3", "count=3, grace='long'"), 4, "TypeError"),
    ],
    ids=str,
)
def test_a_mistake_in_the_module_is_reported_with_its_line(
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
def test_a_mistake_in_a_file_next_to_the_module_is_reported_with_its_line(folder: Path) -> None:
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
        ("echo 0\n", "count.sh:1: this is not a program"),
        ("#!/bin/sh\r\necho 0\r\n", "count.sh:1: the first line ends as on Windows"),
        ("#!/no/such/interpreter\n", "machine pull-"),
    ],
)
def test_a_program_that_no_system_could_start_is_reported(
    folder: Path, program: str, said: str
) -> None:
    (folder / "count.sh").write_bytes(program.encode())
    ran = run(folder)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
