"""Each command in the docs is understood by the real parser, names what exists, and works."""

import itertools
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import documented
import pytest
from command import PROJECT
from test_first_look import PARSER

from pushpull.core.errors import ExitCode
from pushpull.experiments import catalogue, implementations

COMMANDS = documented.commands()
READERS = ("words", "leaving", "crew")  # experiments that a reader makes
NAMED = ("TASK", "ssh")  # in a sentence, without what they need
# What the docs leave open.
EXAMPLES = {
    "--experiment NAME": "--experiment kill_worker",
    "--implementation NAME": "--implementation plain_python",
    "--script NAME": "--script pynng",
    "--test NAME": "--test plain_python",
    "pyzmq,NAME": "pyzmq,plain_python",
    "--help TASK": "--help sweep",
    # Two columns of a table show what four do.
    "pyzmq,pyzmq@16.0.4,perl,pynng": "pyzmq@16.0.4,perl",
    "redis_streams,beanstalkd,nats_jetstream,mosquitto": "redis_streams,beanstalkd",
    # Those that differ in a value alone are run once.
    "run-experiment --interval 0.05 --junit claims.xml": "run-experiment --junit FILE",
    "interval=0.001,0.01,0.1": "interval=0.01,0.1",
    "--run FILE --judge": "--run handed-in/packed.run.tar.gz --judge --runs judged",
    "--run FILE": "--run handed-in/packed.run.tar.gz",
    "--against FILE": "--against handed-in/packed.run.tar.gz",
    "--run RUN": "--run latest",
    "--experiment mine": "--experiment kill_worker",
    "FILE": "found",
    "DIR": "mine",
}
# What takes long: a second between messages, and many runs. These are added to a task with these
# flags that has none of its own, but the repetitions replace those that it has.
FEWER = (
    ("run-experiment", "--interval", "0.05"),
    # Without the flag, all of the article's are run.
    ("run-experiment --implementation", "--experiment", "round_robin"),
    ("matrix", "--implementations", "pyzmq,plain_python"),
    ("matrix", "--experiments", "round_robin"),
    ("matrix", "--repeat", "1"),
    ("sweep", "--repeat", "1"),
)
# Those that are not run here, by how they begin, and why.
ELSEWHERE = {
    "test": "it runs these tests",
    "wheels": "it downloads from the package index",
    "implementations --install": "it downloads; CI installs them before it runs the tests",
    "search": "it makes some forty runs; tests/test_search_for_real.py does",
    "run-experiment --experiment words --stop-on-refuted": "tests/test_stop_on_refuted.py does",
    "quiz": "it asks for answers; tests/test_quiz.py gives them",
    "ssh": "a shell needs a terminal; tests/test_following.py has one",
    "reproduce": "it makes hundreds of runs; tests/test_reproduce.py has a shorter table",
    "run-experiment --experiment ways_to_leave": "tests/test_leaving_for_real.py does",
    "run-experiment --experiment fast_kill": "tests/test_faults_on_hosts.py does",
    "run-experiment --experiment coming_back": "its variants take a minute",
    "sweep --experiment ways_to_leave": "it makes two hundred runs",
    "sweep --experiment loss_curve": "it makes a hundred runs",
    "matrix --experiments ways_to_leave,coming_back": "it makes two hundred runs",
    "run-experiment --experiment kill_worker --interval 0.02 --until": "it makes some sixty runs",
    "run-experiment --experiment docs/examples/request_reply": "tests/test_request_reply.py does",
    "run-experiment --experiment leaving": "docs/own-experiment.md shows only a part of it",
    "run-experiment --experiment crew": "likewise",
    "sweep --experiment crew": "likewise",
    "run-experiment --experiment docs/examples/three_stages": "tests/test_pipelines.py does",
    "TASK": "it stands for the others",
}
READERS_AT_ONCE = 4  # tests that share the commands, as one would take minutes
ANOTHER_HOST = "--scheduler tcp://192.0.2.1"  # tests/test_dask.py has a scheduler here


def _readers() -> list[list[str]]:
    """Return the commands that each of some readers gives; the lab comes up first."""
    followed = documented.commands(*documented.CHAPTERS.glob("*.md"))  # by tests/test_chapters.py
    examples = [
        _example(command)
        for command in COMMANDS
        if command not in followed
        and ANOTHER_HOST not in command
        and not any(f"{command} ".startswith(f"{start} ") for start in ELSEWHERE)
    ]
    chosen = [*dict.fromkeys(examples)]
    making = [c for c in chosen if c.startswith("run-experiment")]
    others = [c for c in chosen if c not in ("up", "down") and c not in making]
    step = READERS_AT_ONCE
    return [["up", *making[k::step], *others[k::step], "down"] for k in range(step)]


def _example(command: str) -> str:
    for open_, example in EXAMPLES.items():
        command = re.sub(rf"\b{open_}\b" if open_[0] != "-" else open_, example, command)
    command = re.sub(r"--repeat \d+", "--repeat 1", command)
    for start, flag, value in FEWER:
        task, *flags = start.split()
        if command.split()[0] == task and {*flags} <= {*command.split()} and flag not in command:
            command += f" {flag} {value}"
    return command


def test_there_are_some() -> None:
    assert len(COMMANDS) > 60
    assert {"test --quick", "plot --format png", "status", "report --run FILE"} <= {*COMMANDS}


def test_those_that_are_not_run_here_are_in_the_docs() -> None:
    for start in ELSEWHERE:
        assert any(f"{command} ".startswith(start) for command in COMMANDS), start


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in NAMED and c[0] != "-"])
def test_each_is_understood(command: str) -> None:
    parsed = PARSER.parse_argv(shlex.split(command))
    assert not parsed.unparsed


@pytest.mark.parametrize("command", [c for c in COMMANDS if "--experiment " in c])
def test_its_experiments_and_implementations_exist(command: str) -> None:
    words = dict(itertools.pairwise(shlex.split(_example(command))))
    wanted = words["--experiment"]
    known = [*catalogue.names(), *READERS]
    assert wanted in known or (PROJECT / wanted / "experiment.py").is_file()
    if choice := words.get("--implementation"):
        implementations.chosen(choice)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("reader", range(READERS_AT_ONCE))
def test_each_works(reader: int, tmp_path: Path) -> None:
    """In one folder and one lab, one after the other, as a reader would go through the docs."""
    shutil.copy(PROJECT / "inventory.yaml", tmp_path)
    failed = {}
    for command in _readers()[reader]:
        if "handed-in" in command and not (tmp_path / "handed-in").exists():
            _hand_in(tmp_path)
        done = _fab(command, tmp_path)
        if done.returncode not in (ExitCode.EXPECTED, ExitCode.NOT_OBSERVED):
            failed[command] = f"{done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}"
    assert failed == {}


def _hand_in(folder: Path) -> None:
    """Pack a run as a class hands it in."""
    (folder / "handed-in").mkdir()
    assert _fab("bundle --runs ../runs", folder / "handed-in").returncode == 0
    (packed,) = (folder / "handed-in").glob("*.run.tar.gz")
    packed.rename(packed.with_name("packed.run.tar.gz"))


def _fab(command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(PROJECT / "fab"), *shlex.split(command)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | {"BROWSER": "true"},  # `open` opens nothing
        timeout=100,
    )
