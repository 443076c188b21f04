"""What every implementation of the program protocol must do: docs/program-protocol.md, tried out.

pytest tests/programs --implementation NAME
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from implementation import Implementation, Running

from lab.core import trace as trace_module
from lab.core.errors import NotFit
from lab.experiments import implementations
from lab.machines import installer, requirements

SCHEMA = json.loads(Path(trace_module.__file__).with_suffix(".schema.json").read_text())
RECEIVED = re.compile(r"(\d+) , (\d+\.\d+)")


# What a test tries that not every implementation offers.
OPTIONAL = {
    "test_connecting_sender": {"push": "--connect", "pull": "--bind"},
    "test_work": {"pull": "--work"},
    "test_dying_at_a_message": {"pull": "--die-at"},
    "test_size": {"push": "--size"},
    "test_delay": {"push": "--delay"},
}


def _missing(name: str) -> str:
    """Return what this computer lacks for an implementation, as the lab says it of a machine."""
    manifest = implementations.get(name)
    here: Any = SimpleNamespace(
        access=SimpleNamespace(python=sys.executable, implementations=str(installer.root())),
        name="here",
        run=lambda argv: subprocess.run(argv, capture_output=True, check=False).stdout,
    )
    try:
        requirements.require(
            here,
            manifest.needs,
            install=manifest.install,
            installation=manifest.installation,
        )
    except NotFit as lacking:
        return str(lacking)
    return ""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try the one that is asked for, else all whose needs this computer has."""
    if "name" not in metafunc.fixturenames:
        return
    wanted = metafunc.config.getoption("--implementation")
    tried = [wanted] if wanted else [n for n in implementations.names() if not _missing(n)]
    optional = OPTIONAL.get(metafunc.function.__name__, {})
    metafunc.parametrize(
        "name",
        [
            name
            for name in tried
            if all(
                flag in implementations.get(name).programs[program].offers
                for program, flag in optional.items()
            )
        ],
    )


@pytest.fixture
def one(name: str, tmp_path: Path) -> Iterator[Implementation]:
    if lacking := _missing(name):
        pytest.fail(lacking)
    implementation = Implementation(implementations.get(name), tmp_path)
    yield implementation
    implementation.end_all()


def test_those_that_need_nothing_unusual_are_tried() -> None:
    assert {n for n in implementations.names() if not _missing(n)} >= {"pyzmq", "plain_python"}


def numbers(receiver: Running) -> list[int]:
    return [int(match[1]) for line in receiver.lines if (match := RECEIVED.fullmatch(line))]


def flow(one: Implementation, *, count: int = 5, receiver: tuple[object, ...] = ()) -> Any:
    """Start a receiver and then a sender, and wait until all has come."""
    pull = one.start("pull", *receiver)
    pull.wait_ready()
    push = one.start("push", "--count", count, "--interval", 0.02)
    assert push.end() == 0, push.said
    pull.wait_for(lambda p: len(p.lines) == count)
    return push, pull


def test_both_ends_are_there(name: str) -> None:
    assert implementations.get(name).programs.keys() >= {"push", "pull"}


def test_lines(one: Implementation) -> None:
    """The sender prints each number, the receiver the number and the time of sending."""
    before = time.time()
    push, pull = flow(one)
    assert push.lines == [str(n) for n in range(5)]
    found = [RECEIVED.fullmatch(line) for line in pull.lines]
    assert all(found), pull.lines
    assert [int(match[1]) for match in found if match] == [0, 1, 2, 3, 4]
    assert all(before - 1 < float(match[2]) < time.time() + 1 for match in found if match)


def test_lines_come_at_once(one: Implementation) -> None:
    """Into a pipe too: a line that is held back until the end would be useless to a trigger."""
    pull = one.start("pull")
    pull.wait_ready()
    push = one.start("push", "--count", 3, "--interval", 20)
    pull.wait_for(lambda p: p.lines)
    push.wait_for(lambda p: p.lines)
    assert push.process.poll() is None


def test_traces_are_valid(one: Implementation) -> None:
    for program in flow(one):
        assert program.said
        for line in program.said:
            jsonschema.validate(json.loads(line), SCHEMA)
            assert trace_module.parse(line) is not None


def test_events_are_those_of_the_manifest(one: Implementation) -> None:
    push, pull = flow(one)
    push_says = one.offers("push") & {"sent", "accepted", "connected"}
    pull.kill()
    for name, program, expected in (
        ("push", push, push_says),
        ("pull", pull, one.offers("pull") & {"received", "connected"}),
    ):
        seen = {trace.event for trace in program.traces()}
        assert {"ready", *expected} <= seen <= one.offers(name)
    for program, event in ((push, "sent"), (pull, "received")):
        if program.traces(event):
            assert [trace.number for trace in program.traces(event)] == [0, 1, 2, 3, 4]


def test_ready_comes_first_and_names_versions(one: Implementation) -> None:
    for program in flow(one):
        times = [trace.at.t for trace in program.traces()]
        (ready,) = program.traces("ready")
        assert abs(ready.at.t - time.time()) < 60
        assert any(isinstance(value, str) for value in ready.details.values())
        assert all(t >= times[0] - 1 for t in times)


def test_quiet_without_trace(one: Implementation) -> None:
    pull = one.start("pull", trace=False)
    push = one.start("push", "--count", 2, "--interval", 0, trace=False)
    assert push.end() == 0
    pull.wait_for(lambda p: len(p.lines) == 2)
    pull.kill()
    assert push.said == pull.said == []


@pytest.mark.parametrize("program", ["push", "pull"])
def test_an_unknown_flag_is_refused(one: Implementation, program: str) -> None:
    """A flag that is silently passed over would make an experiment another one."""
    refused = one.start(program, "--no-such-flag")
    assert refused.end() not in (0, None)
    assert refused.said
    assert not refused.traces("ready")


def test_first_and_count(one: Implementation) -> None:
    pull = one.start("pull")
    push = one.start("push", "--first", 40, "--count", 2, "--interval", 0)
    pull.wait_for(lambda p: numbers(p) == [40, 41])
    assert push.end() == 0
    assert push.lines == ["40", "41"]


def test_the_sender_ends_by_itself_and_loses_nothing(one: Implementation) -> None:
    """Also what it has sent just before: the receiver is there and reads."""
    pull = one.start("pull")
    pull.wait_ready()
    push = one.start("push", "--count", 200, "--interval", 0)
    assert push.end() == 0
    pull.wait_for(lambda p: len(p.lines) >= 200)
    assert numbers(pull) == list(range(200))


def test_the_receiver_goes_on_until_it_is_ended(one: Implementation) -> None:
    _, pull = flow(one)
    assert pull.process.poll() is None
    assert pull.kill(signal.SIGTERM) != 0


def test_the_receiver_comes_back_to_another_sender(one: Implementation) -> None:
    pull = one.start("pull")
    first = one.start("push", "--count", 1000, "--interval", 0.05)
    pull.wait_for(lambda p: p.lines)
    first.kill()
    second = one.start("push", "--first", 5000, "--count", 3, "--interval", 0.05)
    assert second.end() == 0
    pull.wait_for(lambda p: 5002 in numbers(p))


def test_two_receivers_share_the_messages(one: Implementation) -> None:
    pulls = [one.start("pull"), one.start("pull")]
    for pull in pulls:
        pull.wait_ready()
    push = one.start("push", "--count", 60, "--interval", 0.03)
    assert push.end() == 0
    pulls[0].wait_for(lambda _: sum(len(pull.lines) for pull in pulls) == 60)
    assert all(pull.lines for pull in pulls)
    assert sorted(n for pull in pulls for n in numbers(pull)) == list(range(60))


def test_connecting_sender(one: Implementation) -> None:
    pull = one.start("pull", "--bind")
    pull.wait_ready()
    push = one.start("push", "--connect", "--count", 3, "--interval", 0.2)
    pull.wait_for(lambda p: numbers(p) == [0, 1, 2])
    assert push.end() == 0


def test_work(one: Implementation) -> None:
    """A message is printed when its work is done, and its receipt traced before."""
    _, pull = flow(one, count=2, receiver=("--work", 0.2))
    if pull.traces("received"):
        took = time.time() - pull.traces("received")[0].at.t
        assert took >= 0.2


def test_dying_at_a_message(one: Implementation) -> None:
    pull = one.start("pull", "--die-at", 2)
    pull.wait_ready()
    one.start("push", "--count", 5, "--interval", 0.02)
    assert pull.end() == -signal.SIGKILL
    assert numbers(pull) == [0, 1, 2]
    assert [trace.number for trace in pull.traces("dies")] == [2]


def test_size(one: Implementation) -> None:
    """Frames of all lengths come through; what fills them up is not printed."""
    pull = one.start("pull")
    for k, size in enumerate((0, 255, 256, 70_000)):
        push = one.start("push", "--first", k, "--count", 1, "--interval", 0, "--size", size)
        assert push.end() == 0
    pull.wait_for(lambda p: numbers(p) == [0, 1, 2, 3])


def test_delay(one: Implementation) -> None:
    started = time.monotonic()
    one.start("pull")
    push = one.start("push", "--delay", 0.5, "--count", 1, "--interval", 0)
    push.wait_for(lambda p: p.lines)
    assert time.monotonic() - started >= 0.5


def test_it_talks_to_each_that_shares_its_wire(one: Implementation, tmp_path: Path) -> None:
    for other_name in implementations.names():
        other = Implementation(implementations.get(other_name), tmp_path)
        if not {*other.manifest.wire} & {*one.manifest.wire}:
            continue
        if _missing(other_name):
            continue
        try:
            for sender, receiver in ((one, other), (other, one)):
                pull = receiver.start("pull", address=other.address)
                push = sender.start("push", "--count", 3, "--interval", 0.1, address=other.address)
                pull.wait_for(lambda p: numbers(p) == [0, 1, 2])
                assert push.end() == 0
                pull.kill()
        finally:
            other.end_all()
