"""The programs of a user's experiment on a machine, and the files that they leave there."""

import os
import signal
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import command
import pytest
from own_folder import CLAIM, HEAD, SCENARIO, SHELL, run

from pushpull.analysis.many_runs import facts_of
from pushpull.api import experiment
from pushpull.core.errors import ExitCode, LabError
from pushpull.engine.versions import Answer, require_known
from pushpull.runs import store

# --- The lab's files and the user's; what is the program's doing and what the lab's. --------------

SAYS = """\
@claim("It says what it should.")
def says(run: Run) -> Verdict:
    said = " ".join(sorted(r.text for r in printed(run, "count")))
    return Verdict.holds(said) if said == {!r} else Verdict.refuted(said)
"""


def says(
    folder: Path,
    program: str,
    expected: str,
    *flags: str,
    scenario: str = SCENARIO,
    code: ExitCode = ExitCode.EXPECTED,
) -> str:
    """Run a shell program on one machine; its lines, sorted, are what was expected."""
    (folder / "count.sh").write_text("#!/bin/sh\n" + program)
    (folder / "count.sh").chmod(0o755)  # `count` is it, whatever else is called so
    one = scenario.replace('reads=lines(received={"count": r"(\\d+)"}), ', "").replace(
        'on="puller"', 'on="pull-1"'
    )
    (folder / "experiment.py").write_text(HEAD + one + SAYS.format(expected))
    ran = run(folder, *flags)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout


def test_no_file_of_the_user_replaces_one_of_the_labs(folder: Path) -> None:
    names = [
        "launcher.py",
        "rule_keeper.py",
        "packet_capture.py",
        "count.notes",
        "push.py",
        "pull.py",
        "os.py",
    ]
    for name in names:
        (folder / name).write_text(f"raise SystemExit('mine: {name}')\n")
    says(folder, "cat " + " ".join(names) + " | cut -d' ' -f3", " ".join(
        sorted(f"{name}')" for name in names)
    ))  # fmt: skip


@pytest.mark.slow
def test_a_users_program_precedes_the_labs_of_that_name(folder: Path) -> None:
    (folder / "push.py").write_text("print('mine')\n")
    module = HEAD + SCENARIO.replace('"count", on=', '"push", on=') + SAYS.replace(
        'printed(run, "count")', 'printed(run, "push")'
    ).format("mine mine")  # fmt: skip
    (folder / "experiment.py").write_text(module)
    ran = run(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
def test_the_labs_programs_do_not_import_a_users_module(folder: Path) -> None:
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
def test_executable_files_stay_executable(folder: Path) -> None:
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


@pytest.mark.slow
def test_socket_options_reach_a_users_own_program(folder: Path) -> None:
    flags = ("--set", "SNDHWM=1", "--set", "LINGER=0")
    says(folder, 'echo "<$LAB_SET>"\n', "<SNDHWM=1 LINGER=0>", *flags)


def test_the_user_hears_that_own_programs_must_set_socket_options(folder: Path) -> None:
    remark = "--set SNDHWM=1: only the lab's own programs set it; yours find it in LAB_SET"
    assert remark in run(folder, "--set", "SNDHWM=1").stderr


@pytest.mark.slow
def test_messages_on_stderr_are_reported(folder: Path) -> None:
    (folder / "count.sh").write_text(SHELL.replace("done", "done >&2"))
    ran = run(folder)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "Lines on stderr look like messages but belong on stdout" in ran.stdout


LEAVES = """\
trap 'i=0; while [ $i -lt 30 ]; do i=$((i + 1)); sleep 0.1; done; echo total; exit 0' TERM
echo up
while :; do sleep 0.05; done
"""


@pytest.mark.slow
@pytest.mark.parametrize("grace", [0.5, 20])
def test_a_program_gets_its_grace_period(folder: Path, grace: float) -> None:
    """What one had still to say when the lab killed it isn't known, so it refutes nothing."""
    scenario = SCENARIO.replace("count=3", f"count=3, grace={grace}").replace(
        'lab.start("count", on="puller").wait()',
        'lab.end(lab.start("count", on="puller", ready=lambda line: line == "up"))',
    )
    code = ExitCode.NOT_OBSERVED if grace < 1 else ExitCode.EXPECTED
    said = says(folder, LEAVES, "total up", scenario=scenario, code=code)
    killed = f"count on pull-1 was killed: it had not ended {grace} s after SIGTERM"
    assert (killed in said) == (grace < 1)
    assert ("isn't known. `grace` of the" in said) == (grace < 1)


CHILD = """\
(trap '' TERM; echo up; i=0; while [ $i -lt 30 ]; do i=$((i + 1)); sleep 0.1; done; echo total) &
wait
"""


@pytest.mark.slow
@pytest.mark.parametrize("grace", [0.5, 20])
def test_a_child_has_the_grace_of_its_program(folder: Path, grace: float) -> None:
    """The program itself ends at once, by SIGTERM; what its child had to say isn't known."""
    scenario = SCENARIO.replace("count=3", f"count=3, grace={grace}").replace(
        'lab.start("count", on="puller").wait()',
        'lab.end(lab.start("count", on="puller", ready=lambda line: line == "up"))',
    )
    code = ExitCode.NOT_OBSERVED if grace < 1 else ExitCode.EXPECTED
    says(folder, CHILD, "total up", scenario=scenario, code=code)


# --- Files that programs leave. -------------------------------------------------------------------

WRITES = """\
mkdir out; echo "$LAB_MACHINE" > out/results.csv; echo more >> data.txt
ln -s /etc/hostname link; mkfifo fifo; echo "$(date)" > .hidden
echo written
"""


@pytest.mark.slow
def test_files_that_programs_left_are_in_the_run(folder: Path) -> None:
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


def test_a_run_has_the_files_of_its_beginning(folder: Path) -> None:
    for name in ("edited.txt", "deleted.txt"):
        (folder / name).write_text("before\n")
    edits = f"""\
    (pathlib.Path({str(folder)!r}) / "edited.txt").write_text("afterwards\\n")
    (pathlib.Path({str(folder)!r}) / "deleted.txt").unlink()
"""
    scenario = "import pathlib\n" + SCENARIO.rstrip() + "\n" + edits + "\n"
    says(folder, "cat edited.txt deleted.txt", "before before", scenario=scenario)
    assert not (command.only_run(folder.parent / "runs") / "pull-1" / "files").exists()


def test_a_run_that_was_given_up_is_an_error_in_junit(folder: Path) -> None:
    waits = 'lab.first(lab.start("count", on="puller"), prints=lambda line: line == "never")'
    scenario = SCENARIO.replace('lab.start("count", on="puller").wait()', waits)
    (folder / "experiment.py").write_text(HEAD + scenario + CLAIM)
    file = folder.parent / "found.xml"
    ran = run(folder, "--junit", str(file))
    assert ran.returncode == ExitCode.NOT_OBSERVED
    (suite,) = ElementTree.parse(file).getroot()
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == (
        "2", "0", "1",
    )  # fmt: skip
    assert suite[1].attrib["name"] == "the_run"
    assert "never printed the line" in suite[1][0].attrib["message"]


@pytest.mark.slow
def test_versions_of_own_programs_are_in_the_run(folder: Path) -> None:
    (folder / "count.sh").write_text(
        '#!/bin/sh\nif [ "$1" = -v ]; then printf "\\ncount 2.7 <b>\\nmore" >&2; exit; fi\necho 0\n'
    )
    versions = (
        '{"count": ["./count.sh", "-v"], "sh": ["sh", "-c", "uname -n | grep pull-2"],'
        ' "py": ["{python}", "-V"]}'
    )
    (folder / "count.sh").chmod(0o755)
    scenario = SCENARIO.replace("count=3", f"versions={versions}, count=1")
    (folder / "experiment.py").write_text(HEAD + scenario + CLAIM)
    done = run(folder)
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    path = command.only_run(folder.parent / "runs")
    stored = store.load(path)
    found = {name: {k: v for k, v in of.items() if k in ("count", "sh")}
             for name, of in stored.description["machines"].items()}  # fmt: skip
    count = {"count": "count 2.7 <b>"}
    assert found == {"push": count, "pull-1": count, "pull-2": count | {"sh": "pull-2"}}
    assert "count 2.7 &lt;b&gt;" in (path / "report.html").read_text()
    assert facts_of(stored)["count"] == "count 2.7 <b>"
    assert facts_of(stored)["py"].startswith("Python 3.")


@pytest.mark.parametrize("versions", [{"a b": ["x"]}, {"x": "x --version"}, {"x": []}, {"x": [1]}])
def test_versions_that_cannot_be_declared(versions: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a name|must be a list of words"):
        experiment(source="a test", versions=versions)


def test_a_command_for_a_version_must_succeed_somewhere() -> None:
    commands = {"sh": ["sh", "--version"], "odd": ["odd", "-v"]}
    failed = Answer({"sh": "1"}, {"odd": "exit status 2, no such flag"})
    require_known({"a": failed, "b": Answer({"odd": "2"}, {})}, commands)
    with pytest.raises(LabError, match=r"the version of odd.*: odd -v") as refused:
        require_known({"a": failed, "b": failed}, commands)
    assert refused.value.output == "a: exit status 2, no such flag"


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
def test_files_that_programs_left_are_in_an_interrupted_run(folder: Path) -> None:
    (folder / "count.sh").write_text("#!/bin/sh\necho 7 > made; echo 0; sleep 100\n")
    flags = ("--experiment", folder, "--runs", folder.parent / "runs")
    with command.started("run-experiment", *flags) as lab:
        command.read_until(lab, "pull-1 | 0")
        os.killpg(lab.pid, signal.SIGINT)
        said = lab.communicate()[0]
    assert lab.returncode == 4, said
    run_path = command.only_run(folder.parent / "runs")
    assert (run_path / "pull-1" / "files" / "made").read_text() == "7\n"
