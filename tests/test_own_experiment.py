"""An experiment of the user's own: programs in any language, and its mistakes told as mistakes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import command
import pytest
from made_runs import with_a_loss

from lab import by_hand, catalogue, own, runs, show
from lab.errors import LabError
from lab.judge import judge
from lab.run_directory import describe

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


@pytest.mark.parametrize("own_reader", [False, True])
@pytest.mark.parametrize(("name", "program"), [("count.sh", CRLF), ("count.py", BARS)])
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
        text = text.replace("import Lab\n", "import Lab\nfrom lab.records import Message\n")
    (folder / "experiment.py").write_text(text)
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 claim: 1 as expected" in ran.stdout
    assert re.search(r"^pull-1 +\| 2$", ran.stdout, re.MULTILINE)
    stored = command.only_run(folder.parent / "runs")
    log = stored / "pull-1" / "count.log"
    assert log.read_bytes().count(b"\r") == (3 if name == "count.sh" else 3 * 22)
    texts = [r.text or "" for r in runs.load(stored).records if r.machine == "pull-1"]
    assert "".join(f"{text}\n" for text in texts).encode() == log.read_bytes()


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
        (('on="puller"', 'on="pullers"'), 9, "no machine has the role 'pullers'"),
        (("run.planned", "run.plans"), 13, "AttributeError"),
        (("return Verdict.refuted", "Verdict.refuted"), 11, "returned None, no Verdict"),
        (('r"(\\d+)"', 'r"(x?)\\d+"'), 7, "is no number in '0'"),
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


# -- whose module is imported --------------------------------------------------------------------


def test_no_file_of_the_users_is_taken_for_a_module_of_the_harness(folder: Path) -> None:
    """Each of these is a program: imported by the harness, it would fail, or do something."""
    for name in ("statistics", "secrets", "json", "numbers", "catalogue", "records", "zmq"):
        (folder / f"{name}.py").write_text("raise RuntimeError('it was imported')\n")
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "page:" in ran.stdout


def test_an_experiment_imports_its_own_modules_and_nobody_else_does(folder: Path) -> None:
    (folder / "helpers").mkdir()  # without an __init__.py
    (folder / "helpers" / "judge.py").write_text("from . import limits\nok = limits.ok\n")
    (folder / "helpers" / "limits.py").write_text("import words\nok = words.ok\n")
    (folder / "words.py").write_text("import statistics\nok = statistics.mean([1, 1]) == 1\n")
    (folder / "statistics.py").write_text("raise RuntimeError('a program')\n")
    (folder / "late.py").write_text("yes = True\n")
    module = folder / "experiment.py"
    module.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        + module.read_text().partition("\n")[2]
        + "\nfrom helpers.judge import ok\nimport helpers.limits, words\n"
        "assert helpers.limits.words is words\n"
        "@dataclass\nclass Both:\n    one: bool\n"
        "@claim('Late.')\ndef late_too(run: Run) -> Verdict:\n"
        "    import late\n    return Verdict.holds(str(Both(late.yes and ok)))\n"
    )
    path, modules = list(sys.path), set(sys.modules)
    experiment = catalogue.load(str(folder))
    assert sys.path == path
    assert not {"helpers", "words", "late", "experiment"} & (set(sys.modules) - modules)
    (late,) = (claim for claim in experiment.claims if claim.id == "late_too")
    assert "one=True" in late.judge(None).why  # type: ignore[arg-type]
    assert not list(folder.rglob("__pycache__"))


def test_a_module_that_is_hidden_by_pythons_own_is_told(folder: Path) -> None:
    (folder / "statistics.py").write_text("def mine(): ...\n")
    module = folder / "experiment.py"
    module.write_text("from statistics import mine\n" + module.read_text())
    with pytest.raises(LabError, match="mine") as caught:
        catalogue.load(str(folder))
    assert "from . import statistics" in caught.value.cure
    module.write_text("from . import statistics as s\ns.mine()\n" + module.read_text()[28:])
    catalogue.load(str(folder))


# -- what an experiment is, and is called --------------------------------------------------------


def test_an_experiment_has_one_name_however_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for named in (".", "experiment.py", "../mine", "../mine/experiment.py", str(folder)):
        assert catalogue.load(named).name == "mine"


def test_a_path_may_have_colons(tmp_path: Path, folder: Path) -> None:
    odd = shutil.copytree(folder, tmp_path / "at 12:30" / "mine")
    module = (odd / "experiment.py").read_text()
    (odd / "experiment.py").write_text(module.replace("count=3", "count=3, variants=('a', 'b')"))
    assert catalogue.load(str(odd)).variants == ("a", "b")
    assert catalogue.load(f"{odd}:b").variants == ("b",)
    with pytest.raises(LabError, match="12:30/nothing'"):
        catalogue.load(str(tmp_path / "at 12:30" / "nothing"))


def test_a_name_of_the_labs_own_is_refused(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabError, match="comes with the lab"):
        own.create(tmp_path / "kill-worker", catalogue.names())
    shutil.copytree(folder, tmp_path / "kill_worker")
    monkeypatch.chdir(tmp_path)
    for named in ("kill_worker", "./kill_worker"):
        with pytest.raises(LabError, match="comes with the lab"):
            catalogue.load(named)


def test_a_single_file_has_nothing_beside_it(folder: Path) -> None:
    alone = folder / "try.py"
    alone.write_text((folder / "experiment.py").read_text())
    experiment = catalogue.load(str(alone))
    assert experiment.name == "try"
    assert experiment.folder is None
    assert catalogue.own_files(experiment) == {"experiment.py": alone}
    assert "count" not in catalogue.programs(experiment)
    (folder / "words.py").write_text("")
    alone.write_text("import words\n" + alone.read_text())
    with pytest.raises(LabError, match="words") as caught:
        catalogue.load(str(alone))
    assert "call this file experiment.py" in caught.value.cure


def test_what_goes_along(folder: Path, tmp_path: Path) -> None:
    left_out = ("runs/x", "venv/x", ".venv/x", "web/node_modules/x", "a/__pycache__/x", ".env",
                "env/pyvenv.cfg", "env/lib/x", "out/20261124T061026Z-mine/run.json")  # fmt: skip
    for name in (*left_out, "data/deep/x", "data/runs/x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big").write_text("x")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "link").symlink_to(tmp_path / "elsewhere" / "big")
    (folder / "data" / "up").symlink_to(folder)
    (folder / "out" / "latest").symlink_to("20261124T061026Z-mine")
    os.mkfifo(folder / "pipe")
    found = own.files(folder)
    assert list(found) == ["count.sh", "data/deep/x", "data/runs/x", "link", "linked/big"]


def test_what_is_too_much_is_told_before_anything_runs(folder: Path) -> None:
    (folder / "data").mkdir()
    with (folder / "data" / "big").open("wb") as sparse:
        sparse.truncate(101 * 1024**2)
    with pytest.raises(LabError, match="most is in 'data'"):
        own.files(folder)


@pytest.mark.slow
def test_a_run_is_judged_as_before_here_and_elsewhere(folder: Path, tmp_path: Path) -> None:
    (folder / "helpers").mkdir()
    (folder / "data").mkdir()
    (folder / "data" / "count.txt").write_text("3")
    (folder / "helpers" / "expected.py").write_text(
        "from pathlib import Path\n"
        "LAST = int((Path(__file__).parent.parent / 'data/count.txt').read_text())\n"
    )
    module = folder / "experiment.py"
    module.write_text(
        module.read_text().replace("len(run.planned)", "LAST")
        + "\nfrom helpers.expected import LAST\n"
    )
    assert run(folder).returncode == 0
    here, elsewhere = folder.parent / "runs", tmp_path / "elsewhere"
    again = command.fab("report", "--judge", "--runs", here)
    assert "\nas judged before\n" in again.stdout, again.stderr
    assert command.fab("bundle", "--runs", here, cwd=tmp_path).returncode == 0
    (file,) = tmp_path.glob("*-mine.run.tar.gz")
    shutil.rmtree(folder)
    again = command.fab("report", "--judge", "--run", file, "--runs", elsewhere)
    assert again.returncode == 0, again.stderr
    assert "\nas judged before\n" in again.stdout


# -- what the user's code does wrong --------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def reads(record):\n    return 1 / 0\n", "experiment.py:2: ZeroDivisionError"),
        ("def reads(record):\n    raise SystemExit(0)\n", "experiment.py:2: SystemExit"),
        ("def reads(record):\n    return 'x'\n", "no Message"),
    ],
)
def test_a_reader_that_fails_is_the_users_wherever_it_is_called(
    tmp_path: Path, code: str, said: str
) -> None:
    path = with_a_loss(tmp_path / "runs")
    folder = tmp_path / "mine"
    folder.mkdir()
    told = "@experiment(source='s', reads=reads)\ndef mine(lab): ...\n"
    head = "from lab.experiment import Verdict, claim, experiment\n"
    (folder / "experiment.py").write_text(code + head + told)
    description = runs.load(path).description
    module = {"experiment": "mine", "module": str(folder / "experiment.py")}
    describe(path, description | module)
    for call in (
        lambda: show.report(path.parent, None, again=False),
        lambda: show.report(path.parent, None, again=True),
        lambda: by_hand.compare_machines(path.parent, None),
    ):
        with pytest.raises(LabError) as caught:
            call()
        assert said in str(caught.value)


@pytest.mark.parametrize(
    "returned", ["holds(3)", "holds('', messages='1')", "holds('', events=[1])"]
)
def test_a_verdict_that_is_none_is_told(tmp_path: Path, returned: str) -> None:
    path = with_a_loss(tmp_path / "runs")
    (tmp_path / "experiment.py").write_text(
        "from lab.experiment import Verdict, claim, experiment\n"
        "@experiment(source='s')\ndef mine(lab): ...\n"
        f"@claim('c')\ndef it(run):\n    return Verdict.{returned}\n"
    )
    experiment = catalogue.load(str(tmp_path / "experiment.py"))
    with pytest.raises(LabError, match="a verdict has") as caught:
        judge(runs.load(path), experiment, partial=False)
    assert "experiment.py:4" in caught.value.where


@pytest.mark.parametrize("flag", ["source=3", "source='', count='x'", "source='', variants='ab'"])
def test_a_flag_of_the_wrong_kind_is_told(tmp_path: Path, flag: str) -> None:
    (tmp_path / "experiment.py").write_text(
        f"from lab.experiment import experiment\n@experiment({flag})\ndef mine(lab): ...\n"
    )
    with pytest.raises(LabError, match="wrong kind") as caught:
        catalogue.load(str(tmp_path))
    assert "experiment.py:2" in caught.value.where


def test_traces_that_no_run_could_hold_spoil_none(folder: Path) -> None:
    deep = "[" * 30 + "]" * 30
    odd = ('"t": 1.0, "x": 1e999', '"t": -5.0', '"t": 1e300', f'"t": 1.0, "x": {deep}')
    lines = "\n".join(f'echo \'{{"event": "ready", {rest}}}\' >&2' for rest in odd)
    (folder / "count.sh").write_text(f"{SHELL}{lines}\n")
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


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
