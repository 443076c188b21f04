"""Experiments on the embedded lab with late, duplicate or slow messages: none counts as lost."""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from command import PROJECT, fab, only_run, read_until, started
from mutations import Edit, mutated_lab
from quick import rest_slow

from pushpull.core.errors import ExitCode
from pushpull.engine.disturbance import TOO_LATE_S, MachineLateness
from pushpull.machines.inventory import load
from pushpull.machines.pool import connected
from pushpull.machines.providers.namespaces import Namespaces
from pushpull.runs import store
from pushpull.runs.store import StoredRun

LAUNCHER = "machines/agent/launcher.py"
EXPERIMENT = '''"""Of the test's own."""
from pushpull.api import Verdict, claim, exactly_once, experiment, lines, printed

READS = lines(sent={{"src": r"(\\d+)"}}, received={{"sink": r"got (\\d+)"}})


@experiment(source="s", count={count}, interval=0.05, takes={takes}, reads={reads})
def late(lab):
{scenario}


@claim("As was expected.")
def expected(run):
    return {verdict}
'''
SRC = """import os, time, zmq
context = zmq.Context()
socket = context.socket(zmq.PUSH)
{attach}(os.environ["LAB_ADDRESS"])
for number in {numbers}:
    print(number)
    socket.send_string(str(number))
    time.sleep(0.05)
socket.close()
context.term()
"""
SINK = """import os, time, zmq
socket = zmq.Context().socket(zmq.PULL)
{attach}(os.environ["LAB_ADDRESS"])
while True:
    number = socket.recv_string()
    time.sleep({work})
    print("got", number)
"""
ALL = """Verdict.holds("all") if len(run.received) == len(run.sent) == {} else Verdict.refuted(
        f"{{len(run.received)}} of {{len(run.sent)}}")"""


def played(tmp_path: Path, scenario: str, **of: Any) -> tuple[int, str, StoredRun]:
    folder = tmp_path / "late"
    folder.mkdir()
    for name in ("src", "sink"):
        if name in of:
            (folder / f"{name}.py").write_text(of[name])
    text = EXPERIMENT.format(
        count=of.get("count", 10),
        takes=of.get("takes", 0),
        reads=of.get("reads", "READS"),
        scenario="\n".join(f"    {line}" for line in scenario.splitlines()),
        verdict=of["verdict"],
    )
    (folder / "experiment.py").write_text(text)
    flags = ("run-experiment", "--experiment", folder, "--provider", "namespaces")
    done = fab(*flags, "--runs", tmp_path / "runs")
    run = store.load(only_run(tmp_path / "runs"))
    return done.returncode, done.stdout + done.stderr, run


@pytest.mark.slow
def test_two_senders_that_count_for_themselves(tmp_path: Path) -> None:
    code, said, _ = played(
        tmp_path,
        'lab.start("sink", on="push")\n'
        'lab.start("src", on="pull-1", to="push").wait()\n'
        'lab.start("src", on="pull-2", to="push").wait()',
        src=SRC.format(attach="socket.connect", numbers="range(5)"),
        sink=SINK.format(attach="socket.bind", work=0.15),
        verdict=ALL.format(10),
    )
    assert code == ExitCode.EXPECTED, said


def test_a_message_that_is_sent_again(tmp_path: Path) -> None:
    code, said, _ = played(
        tmp_path,
        'lab.start("sink", on="pull-1", to="push")\nlab.start("src", on="push").wait()',
        src=SRC.format(attach="socket.bind", numbers="(0, 1, 2, 2)"),
        sink=SINK.format(attach="socket.connect", work=0.3),
        verdict=ALL.format(4),
    )
    assert code == ExitCode.EXPECTED, said


@pytest.mark.parametrize("takes", rest_slow([0, 4]))
def test_a_worker_that_needs_longer_than_half_a_second(tmp_path: Path, takes: int) -> None:
    code, said, _ = played(
        tmp_path,
        'lab.start("sink", on="pull-1", to="push")\nlab.start("src", on="push").wait()',
        count=3,
        takes=takes,
        src=SRC.format(attach="socket.bind", numbers="range(3)"),
        sink=SINK.format(attach="socket.connect", work=0.8),
        verdict="exactly_once(run, run.planned)",
    )
    assert code == ExitCode.EXPECTED, said


@pytest.mark.slow
def test_a_worker_that_needs_an_unknown_time(tmp_path: Path) -> None:
    code, said, run = played(
        tmp_path,
        'lab.start("sink", on="pull-1", to="push")\nlab.start("src", on="push").wait()',
        count=2,
        src=SRC.format(attach="socket.bind", numbers="range(2)"),
        sink=SINK.format(attach="socket.connect", work=60),
        verdict="exactly_once(run, run.planned)",
    )
    assert code == ExitCode.NOT_OBSERVED, said
    assert "sink on pull-1 might still have printed messages 0 and 1" in run.description["cut"]
    assert run.state == "interrupted"


RESTS = """import os, select, time, zmq
socket = zmq.Context().socket(zmq.PULL)
socket.connect(os.environ["LAB_ADDRESS"])
end = time.monotonic()
while True:
    print("got", number := int(socket.recv_string()), flush=True)
    if number == 6:
        end = time.monotonic() + 14
        {rest}
"""
_SLEEPS = "time.sleep(14)"
_SLEEPS_TWICE = "time.sleep(11); time.sleep(11)"
_POLLS = "while True: socket.poll(0) and socket.recv_string(); time.sleep(0.02)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rest", "count", "verdict"),
    [(_SLEEPS, 100, "holds"), (_SLEEPS_TWICE, 100, "holds"), (_POLLS, 1, "refuted")],
)
def test_a_rest_after_a_fault_is_told_from_a_loss(
    tmp_path: Path, rest: str, count: int, verdict: str
) -> None:
    """The receiver traces nothing, and rests longer than the silence that counts as a loss.

    That of a loss is not cut short by the limit of a run that was to last a moment.
    """
    _, said, run = played(
        tmp_path,
        'victim = lab.start("sink", on="pull-1", to="push")\n'
        'lab.start("sink", on="pull-2", to="push")\n'
        'source = lab.start("src", on="push")\n'
        "lab.kill(lab.first(victim, prints=lambda line: int(line[4:]) >= 2))\n"
        "source.wait()",
        count=count,
        src=SRC.format(attach="socket.bind", numbers="range(10)"),
        sink=RESTS.format(rest=rest),
        verdict="exactly_once(run, range(6, 10))",
    )
    assert [one["verdict"] for one in run.verdicts or ()] == [verdict], said


def test_a_silent_program_that_nothing_waits_for(tmp_path: Path) -> None:
    code, said, _ = played(
        tmp_path,
        'lab.start("src", on="pull-1")',
        reads="None",
        src='import time\nprint("begin")\ntime.sleep(1.2)\nprint("end")\n',
        verdict='Verdict.holds("end") if printed(run, "src")[-1].text == "end" else'
        ' Verdict.refuted("cut off")',
    )
    assert code == ExitCode.EXPECTED, said


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_worker_that_an_outsider_stops_for_a_while(tmp_path: Path, seconds: int) -> None:
    """What a stopped worker would have printed isn't lost, however long the run is silent."""
    flags = ("--experiment", "round_robin", "--count", 20, "--interval", 0.1)
    with started("run-experiment", *flags, "--runs", tmp_path) as lab:
        said = read_until(lab, "3 , ")
        worker = _pids("pull.py", lab.pid)[0]
        os.kill(worker, signal.SIGSTOP)
        threading.Event().wait(seconds)
        os.kill(worker, signal.SIGCONT)
        said += lab.communicate()[0]
    assert "✓ Each message goes to exactly one machine" in said
    assert store.load(only_run(tmp_path)).state == "finished"


@pytest.mark.slow
def test_a_lab_that_stalls_longer_than_its_programs_lease(tmp_path: Path) -> None:
    """The lease is a fifth of the usual one, to take less time."""
    edits = [
        Edit(LAUNCHER, "LEASE_S = 30", "LEASE_S = 6"),
        Edit(LAUNCHER, "PULSE_S = 10", "PULSE_S = 2"),
    ]
    environment = mutated_lab(tmp_path / "lab", edits)
    flags = ("--experiment", "round_robin", "--count", 80, "--interval", 0.5)
    with started("run-experiment", *flags, "--runs", tmp_path, environment=environment) as lab:
        said = read_until(lab, "3 , ")
        os.kill(lab.pid, signal.SIGSTOP)
        threading.Event().wait(10)
        os.kill(lab.pid, signal.SIGCONT)
        said += lab.communicate()[0]
    assert lab.returncode == ExitCode.NOT_OBSERVED, said
    run = store.load(only_run(tmp_path))
    assert re.match(r"The lab was suspended for [1-9][0-9]", run.description["cut"])
    assert run.description["disturbance"]["disturbed"]
    assert {e.details["by"] for e in run.events if e.event == "exit"} == {"lease"}
    assert "ended by itself" not in said
    assert {v["verdict"] for v in run.verdicts or []} == {"not observed"}


@pytest.mark.slow
@pytest.mark.timeout(420)  # 15 s where nothing else runs
def test_100_000_messages_without_a_pause(tmp_path: Path) -> None:
    flags = ("--experiment", "round_robin", "--count", 100_000, "--interval", 0)
    done = fab("run-experiment", *flags, "--runs", tmp_path, timeout=400)
    assert done.returncode in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED), done.stdout[-3000:]
    assert "✓ Each message goes to exactly one machine" in done.stdout
    assert store.load(only_run(tmp_path)).state == "finished"


def _pids(program: str, ancestor: int) -> list[int]:
    """Return the processes below one that run a program."""
    told = subprocess.run(
        ["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in told.stdout.splitlines()]
    below = {ancestor}
    for _ in range(8):
        below |= {int(pid) for pid, parent, _ in rows if int(parent) in below}
    return [
        int(pid)
        for pid, _, args in rows
        if int(pid) in below and program in args and "launcher" not in args
    ]


def test_machines_are_asked_how_late_their_programs_are() -> None:
    inventory = load(PROJECT / "inventory.yaml")
    with Namespaces(inventory).lab(keep=False) as machines, connected(machines) as remotes:
        lateness = MachineLateness.measure(remotes, ["push", "pull-1"])
        (probe,) = (
            pid
            for pid in map(int, remotes["pull-1"].run(["pgrep", "-f", "time.monotonic"]).split())
            if pid > 1
        )
        # It has begun to measure when it sleeps for the first time; before, it could miss the stop.
        state = ["sh", "-c", f"while ! grep -q 'S (sleeping)' /proc/{probe}/status; do :; done"]
        remotes["pull-1"].run(state)
        remotes["pull-1"].run(["kill", "-STOP", str(probe)])
        threading.Event().wait(0.6)
        remotes["pull-1"].run(["kill", "-CONT", str(probe)])
        found = lateness.end()
    assert set(found) == {"push", "pull-1"}
    assert found["pull-1"] > TOO_LATE_S
