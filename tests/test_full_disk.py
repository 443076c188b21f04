"""A run on the embedded lab, and a real disk that is full in its midst."""

import subprocess
from pathlib import Path

import pytest
from command import PROJECT, able_to_mount

EXPERIMENT = r"""'''A number comes twice, then so much is printed that the disk is full.'''
from pushpull.api import claim, exactly_once, experiment, lines, never_twice

READS = lines(sent={"src": r"(\d+)"}, received={"flood": r"got (\d+)"})


@experiment(source="s", count=2, interval=0.05, takes=60, reads=READS)
def flood(lab):
    lab.start("src", on="push").wait()
    lab.start("flood", on="pull-1").wait()


@claim("None comes twice.")
def twice(run):
    return never_twice(run)


@claim("Number 1 comes.")
def comes(run):
    return exactly_once(run, [1])
"""
PROGRAMS = {
    "src.py": "print(0)\nprint(1)\n",
    "flood.py": 'print("got 0\\ngot 0")\nwhile True:\n    print("x" * 5000)\n',
}
SCRIPT = """
mount -t tmpfs -o size=2m none "$0" && fab="$1" && shift
"$fab" run-experiment --provider namespaces --runs "$0/runs" "$@" | grep -v xxxx
echo "code ${PIPESTATUS[0]}"
"$fab" report --judge --runs "$0/runs"
cat "$0/runs/latest/run.json"; ls -A "$0/runs/latest"
"""


@pytest.mark.slow
def test_what_was_decided_by_then_is_told_and_kept(tmp_path: Path) -> None:
    folder, disk = tmp_path / "flood", tmp_path / "disk"
    for made in (folder, disk):
        made.mkdir()
    (folder / "experiment.py").write_text(EXPERIMENT)
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
    command = ["bash", "-c", SCRIPT, disk, PROJECT / "fab", "--experiment", folder]
    done = subprocess.run([*able_to_mount(), *command], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "code 2" in said, said
    assert "Cannot write this: No space left on device." in said
    assert said.count("refuted: Message 0 was received more than once.") == 2, said
    assert '"state": "interrupted"' in said
    assert '"cut": "Not all of this run could be kept: No space left on device."' in said
    assert "Traceback" not in said
    assert ".report.html" not in said
