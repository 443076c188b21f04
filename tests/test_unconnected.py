"""Programs that share a wire on paper but can't talk: the run ends soon, and says why."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import PROJECT

from pushpull.analysis.campaign import is_done
from pushpull.cli import run_series
from pushpull.cli.call import quick_call
from pushpull.cli.silent_view import Silent
from pushpull.core.errors import ExitCode
from pushpull.engine import unconnected
from pushpull.engine.program import ProtocolProgram
from pushpull.experiments import catalogue, implementations
from pushpull.machines.providers.registry import choose
from pushpull.runs import store

GARBAGE = '''"""Binds as a pusher does, and says what no library of messages understands."""
import json, socket, sys, time

def trace(event):
    print(json.dumps({"t": time.time(), "event": event}), file=sys.stderr, flush=True)

host, _, port = sys.argv[sys.argv.index("--address") + 1].removeprefix("tcp://").rpartition(":")
with socket.create_server(("" if host == "*" else host, int(port))) as server:
    trace("ready")
    while True:
        there, _ = server.accept()
        trace("accepted")
        there.sendall(b"good morning\\n" * 10)
'''
MANIFEST = """protocol = 1
summary = "garbage"
wire = ["zmtp/3"]

[programs.push]
argv = ["{python}", "{here}/push.py"]
files = ["push.py"]
flags = ["--address", "--count", "--first", "--interval", "--trace"]
events = ["ready", "accepted", "connected"]
"""


@pytest.fixture
def garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An implementation of the test's own, beside the default one."""
    folder = tmp_path / "programs"
    shutil.copytree(implementations.FOLDER / "pyzmq", folder / "pyzmq")
    (folder / "garbage").mkdir()
    (folder / "garbage" / "push.py").write_text(GARBAGE)
    (folder / "garbage" / "program.toml").write_text(MANIFEST)
    monkeypatch.setattr(implementations, "FOLDER", folder)
    implementations.get.cache_clear()
    yield
    implementations.get.cache_clear()


def test_garbage_on_the_wire(
    garbage: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unconnected, "CONNECT_S", 1.0)
    call = quick_call("namespaces", str(PROJECT / "inventory.yaml"), tmp_path / "runs")
    choice = implementations.chosen("sender=garbage,receiver=pyzmq")
    call = replace(call, implementation=choice)
    found = {"round_robin": catalogue.load("round_robin")}
    with choose(call.provider, call.inventory, print).lab(keep=False) as machines:  # noqa: SIM117
        with run_series.connected_and_fit(machines) as remotes:
            (result,) = run_series.run_connected(call, found, machines, remotes, view_of=Silent)
    assert result.code == ExitCode.NOT_OBSERVED
    stored = store.load(result.path)
    cause = "push of garbage on push and pull of pyzmq on pull-1 and pull-2 ran for 1 s without a"
    assert cause in stored.description["cut"]
    assert "they don't understand each other" in stored.description["cut"]
    assert {v["verdict"] for v in result.verdicts} == {"not observed"}
    assert is_done(stored)  # another try would end no otherwise


def _process(kind: str, machine: str, **of: Any) -> Any:
    program = ProtocolProgram(
        name="push", owner="x", kind=kind, call=("p",), files={},
        offers=frozenset(of.pop("offers", ["connected"])),
    )  # fmt: skip
    state = {"ended": False, "paused": False, "place": (machine, "p"), "machine": machine}
    return SimpleNamespace(program=program, **(state | of))


@pytest.mark.parametrize(
    ("monitor", "sender", "is_hopeless"),
    [
        ({}, {}, True),
        ({"understood": 1}, {}, False),
        ({"connected": 1}, {}, True),  # by the kernel alone
        ({"received": 1}, {}, False),
        ({"faults": 1}, {}, False),
        ({"ready": {("b", "p"): 0.0}}, {}, False),
        ({}, {"ended": True}, False),
        ({}, {"paused": True}, False),
        ({}, {"offers": []}, True),  # the receiver would report it
    ],
)
def test_when_it_is_hopeless(
    monitor: dict[str, Any], sender: dict[str, Any], is_hopeless: bool
) -> None:
    seen: Any = SimpleNamespace(
        **{"understood": 0, "connected": 0, "received": 0, "faults": 0, "accepted": 0,
           "ready": {("a", "p"): 0.0, ("b", "p"): 0.0}, **monitor}
    )  # fmt: skip
    processes = [_process("sender", "a", **sender), _process("receiver", "b")]
    assert bool(unconnected.reason(processes, seen)) == is_hopeless


def test_what_may_wait_for_another_program_is_left_alone() -> None:
    ready = {(machine, "p"): 0.0 for machine in "abc"}
    seen: Any = SimpleNamespace(
        understood=0, connected=0, received=0, faults=0, accepted=0, ready=ready
    )
    both = [_process("sender", "a"), _process("receiver", "b")]
    assert unconnected.reason(both, seen)
    assert not unconnected.reason([*both, _process("stage", "c")], seen)
    assert not unconnected.reason([*both, _process("receiver", "d")], seen)  # not ready yet


def test_programs_that_report_no_connection_are_left_alone() -> None:
    seen: Any = SimpleNamespace(
        understood=0,
        connected=0,
        received=0,
        faults=0,
        accepted=0,
        ready={("a", "p"): 0.0, ("b", "p"): 0.0},
    )
    processes = [_process(kind, m, offers=[]) for kind, m in (("sender", "a"), ("receiver", "b"))]
    assert not unconnected.reason(processes, seen)
