"""A search in real labs: it finds the fault that a program can't stand, and leaves nothing."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from command import FAB, PROJECT, fab
from leftovers import Family, adopt_orphans

from pushpull.core.errors import ExitCode
from pushpull.experiments import catalogue

# What is planted: how a worker loses messages, and the fault that shows it.
MUTANTS = {
    "drops what it gets right after it was stopped": """
    now = time.monotonic()
    if now - last > 0.15:
        last = time.monotonic()
        continue
    last = now
""",
    "stops printing when it has seen ten": """
    seen += 1
    if seen > 10 and time.monotonic() - last > 0.15:
        continue
    last = time.monotonic()
""",
}
CONFIRMED = ("--confirm", "3/3")  # a user would want more, but that takes time
WORKER = """import os, time, zmq
socket = zmq.Context().socket(zmq.PULL)
socket.connect(os.environ["LAB_ADDRESS"])
last, seen = time.monotonic() + 3600, 0
while True:
    text = socket.recv_string()
    last = min(last, time.monotonic())
    {mutation}
    print(text, flush=True)
"""
EXPERIMENT = '''"""A worker that is to lose nothing, whatever happens to it in between."""

from pushpull.api import Run, Verdict, claim, experiment, lines

READS = lines(sent={"push": r"(\\d+)"}, received={"worker": r"(\\d+) .*"})


@experiment(source="a test", reads=READS, count=40, interval=0.1)
def careful(lab):
    lab.start("worker", on="pull-1", to="pusher")
    lab.start("push", on="pusher", **lab.plan).wait()


@claim("Nothing is lost, if the worker lives to the end and its network is whole.")
def nothing_is_lost(run: Run) -> Verdict:
    if any(e.details.get("fault") not in ("pause", "hold") for e in run.events("fault")):
        return Verdict.not_observed("It was disturbed otherwise.")
    if len(run.events("repair")) < len(run.events("fault")):
        return Verdict.not_observed("It was not repaired.")
    lost = [n for n in run.planned if not run.takers.get(n)]
    if lost:
        return Verdict.refuted("Some were lost.", messages=lost)
    return Verdict.holds("All came.")
'''


def _careful(folder: Path, mutation: str) -> Path:
    folder.mkdir()
    (folder / "experiment.py").write_text(EXPERIMENT)
    (folder / "worker.py").write_text(WORKER.replace("    {mutation}\n", mutation))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_finds_one_fault_that_loses_messages_of_pyzmq(tmp_path: Path) -> None:
    claim = "nothing_sent_after_the_fault_is_lost"
    flags = ("--claim", claim, *CONFIRMED, "--runs", tmp_path / "runs")
    done = fab("search", *flags, timeout=360)
    assert done.returncode == ExitCode.UNEXPECTED, done.stdout + done.stderr
    (found,) = tmp_path.glob("runs/search-*/under_faults_refuted")
    assert (found / "experiment.py").read_text().count("lab.schedule(") == 1
    experiment = catalogue.load(str(found))
    assert [each.id for each in experiment.claims] == [claim]
    again = fab("run-experiment", "--experiment", found, "--runs", tmp_path / "again")
    assert "1 claim: 1 not as expected" in again.stdout, again.stdout + again.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("name", MUTANTS)
def test_it_finds_a_planted_fault(name: str, tmp_path: Path) -> None:
    folder = _careful(tmp_path / "careful", MUTANTS[name])
    flags = ("--experiment", folder, "--claim", "nothing_is_lost", *CONFIRMED)
    flags += ("--time-limit", "250")
    done = fab("search", *flags, "--runs", tmp_path / "runs", timeout=360)
    assert done.returncode == ExitCode.UNEXPECTED, done.stdout + done.stderr
    (found,) = tmp_path.glob("runs/search-*/careful_refuted/experiment.py")
    assert found.read_text().count("l.schedule(") + found.read_text().count("lab.schedule(") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_it_leaves_nothing_and_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    adopt_orphans()
    command = [*FAB, "search", "--claim", "under_faults.nothing_comes_twice", "--runs-limit", "4"]
    command += ["--runs", str(tmp_path / "runs")]
    with subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as search:
        family = Family(search.pid)
        assert search.stdout is not None
        while not search.stdout.readline().startswith("run 2"):
            assert search.poll() is None
        family.look()
        search.send_signal(number)
        code = search.wait(30)
    assert code == (ExitCode.INTERRUPTED if number == signal.SIGINT else -number)
    assert family.gone_within(30)
    assert family.leftovers() == []
    (file,) = tmp_path.glob("runs/search-*/tried.jsonl")
    before = [json.loads(line) for line in file.read_text().splitlines()]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert f"{len(before)} runs exist already" in done.stdout
    assert done.returncode == ExitCode.EXPECTED, done.stdout + done.stderr
    after = [json.loads(line) for line in file.read_text().splitlines()]
    assert after[: len(before)] == before
    assert len(after) == len(before) + 4
