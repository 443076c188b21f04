"""A machine tells what a silent program does: whether it rests, works, or waits for messages."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from launched import Launched, shell
from waiting import until

from pushpull.engine import standstill
from pushpull.engine.standstill import Standstill
from pushpull.machines.agent import standstill as agent

BEGIN = "import os, queue, select, signal, subprocess, threading, time\nprint('on', flush=True)\n"


def look(run: Launched) -> Standstill:
    """Return what the script says of a program."""
    words = [sys.executable, str(Path(agent.__file__)), str(run.notes_path)]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    return standstill.read(told.stdout)


def begun(launch, code: str) -> Launched:
    run: Launched = launch(sys.executable, "-c", BEGIN + textwrap.dedent(code))
    assert run.line() == "on"
    return run


@pytest.mark.parametrize(
    "rest",
    [
        "time.sleep(60)",
        "select.select([], [], [], 60)",
        "select.poll().poll(60_000)",
        "threading.Event().wait(60)",
        "queue.Queue().get(timeout=60)",
        "t = threading.Thread(target=time.sleep, args=(60,)); t.start(); t.join()",
        "subprocess.run(['sleep', '60'])",
        "os.system('sleep 60; :')",
    ],
)
def test_a_rest_is_seen(launch, rest: str) -> None:
    run = begun(launch, rest)
    until(lambda: look(run).is_rest(Standstill()), 10)


@pytest.mark.parametrize(
    "work",
    [
        "while True: pass",
        "os.system('while :; do expr 1 + 1; done > /dev/null')",
        # On a busy computer each of many gets less than half of a processor.
        "[os.fork() for _ in range(5)]\nwhile True: pass",
    ],
)
def test_work_is_seen(launch, work: str) -> None:
    run = begun(launch, work)
    until(lambda: look(run).computes, 10)


@pytest.mark.parametrize(
    "wait",
    [
        "r, _ = os.pipe(); os.read(r, 1)",
        "r, _ = os.pipe(); select.select([r], [], [], 60)",
        "r, _ = os.pipe(); p = select.poll(); p.register(r); p.poll(60_000)",
        "e = select.epoll(); r, _ = os.pipe(); e.register(r); e.poll(60)",
        "queue.Queue().get()",
        "select.select([], [], [])",
        "while True: time.sleep(0.01)",
    ],
)
def test_who_waits_for_messages_does_not_rest(launch, wait: str) -> None:
    run = begun(launch, wait)
    until(lambda: look(run) == Standstill(), 10)
    assert look(run) == Standstill()


@pytest.mark.slow
def test_a_shell_that_sleeps_again_and_again_polls(launch) -> None:
    run = launch(*shell("echo on; while :; do sleep 1; echo again; done"))
    assert run.line() == "on"
    found: list[Standstill] = []

    def seen_asleep() -> bool:
        found.append(look(run))
        return bool(found[-1].sleeps)

    until(seen_asleep, 10)
    before = found[-1]
    while found[-1] is before or not found[-1].sleeps:
        assert [run.line() for _ in range(2)] == ["again"] * 2
        seen_asleep()
    assert not found[-1].is_rest(before)
