"""A broker between: the lab starts it, gives everybody its address, and kills it as it is told."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pushpull.analysis import brokers
from pushpull.analysis.history import Run
from pushpull.cli import run_series
from pushpull.cli.call import quick_call
from pushpull.cli.silent_view import Silent
from pushpull.core.errors import ExitCode, LabError
from pushpull.core.records import Event
from pushpull.core.verdict import Outcome
from pushpull.experiments import catalogue, conformance, expectations, implementations
from pushpull.machines import installer
from pushpull.machines.agent import connections
from pushpull.machines.providers.registry import choose
from pushpull.runs import store

SERVER = '''"""Keeps lines in a file until somebody asks for one."""
import pathlib, socketserver, sys, threading

file, news = pathlib.Path(__file__).with_name("kept"), threading.Condition()
kept = file.read_text().splitlines() if file.exists() else []
print("a server's log", flush=True)

class Client(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            text = line.decode().strip()
            with news:
                if text == "next":
                    news.wait_for(lambda: kept)
                    text = kept.pop(0)
                else:
                    kept.append(text)
                    news.notify()
                file.write_text("\\n".join(kept))
            self.wfile.write(f"{text}\\n".encode())

host, _, port = sys.argv[2].removeprefix("tcp://").rpartition(":")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer((host, int(port)), Client).serve_forever()
'''
CLIENT = '''"""Asks the server, again and again until it answers."""
import argparse, json, socket, sys, time

option = argparse.ArgumentParser()
for flag in ("--address", "--count", "--first", "--interval", "--work"):
    option.add_argument(flag)
option.add_argument("--trace", action="store_true")
options = option.parse_args()
host, _, port = options.address.removeprefix("tcp://").rpartition(":")
there = None

def trace(event, **details):
    if options.trace:
        line = {"t": time.time(), "event": event, **details}
        print(json.dumps(line), file=sys.stderr, flush=True)

def ask(text):
    global there
    while True:
        try:
            there = there or socket.create_connection((host, int(port)))
            there.sendall(f"{text}\\n".encode())
            if answer := there.makefile().readline():
                return answer.strip()
        except OSError:
            pass
        there = None
        time.sleep(0.02)
'''
PUSH = """from client import *

trace("ready", mine="1")
for x in range(int(options.first or 0), int(options.first or 0) + int(options.count)):
    print(x, flush=True)
    ask(f"{x} , {time.time()}")
    trace("sent", number=x)
    time.sleep(float(options.interval))
"""
PULL = """from client import *

trace("ready", mine="1")
while True:
    text = ask("next")
    trace("received", number=int(text.split()[0]))
    time.sleep(float(options.work or 0))
    print(text, flush=True)
"""
MANIFEST = """protocol = 1
summary = "a server of the test's own"
wire = ["mine"]

[programs.broker]
argv = ["{python}", "{here}/server.py"]
files = ["server.py"]
flags = ["--address", "--trace"]
events = []

[programs.push]
argv = ["{python}", "{here}/push.py"]
files = ["push.py", "client.py"]
flags = ["--address", "--count", "--first", "--interval", "--trace"]
events = ["ready", "sent"]

[programs.pull]
argv = ["{python}", "{here}/pull.py"]
files = ["pull.py", "client.py"]
flags = ["--address", "--work", "--trace"]
events = ["ready", "received"]
"""
INVENTORY = """network: 10.7.0.0/24
machines:
  push:   {role: pusher, address: 10.7.0.1}
  middle: {role: broker, address: 10.7.0.2}
  pull:   {role: puller, address: 10.7.0.3, count: 2}
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An implementation of the test's own with a broker, beside the default one."""
    folder = tmp_path / "programs"
    shutil.copytree(implementations.FOLDER / "pyzmq", folder / "pyzmq")
    (folder / "mine").mkdir()
    for name, text in (
        ("server.py", SERVER), ("client.py", CLIENT), ("push.py", PUSH), ("pull.py", PULL),
        ("program.toml", MANIFEST),
    ):  # fmt: skip
        (folder / "mine" / name).write_text(text)
    monkeypatch.setattr(implementations, "FOLDER", folder)
    implementations.get.cache_clear()
    yield "mine"
    implementations.get.cache_clear()


@pytest.mark.slow
def test_it_is_killed_and_started_again_on_a_machine_of_its_own(mine: str, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    call = quick_call("namespaces", str(inventory), tmp_path / "runs")
    call = replace(call, implementation=implementations.chosen(mine), interval=0.05)
    shown: list[str] = []

    class Shown(Silent):
        def records(self, records: Any) -> None:
            shown.extend(record.process for record in records)

    found = {"restart_broker:waiting": catalogue.load("restart_broker:waiting")}
    with choose(call.provider, call.inventory, print).lab(keep=False) as machines:  # noqa: SIM117
        with run_series.connected_and_fit(machines) as remotes:
            (result,) = run_series.run_connected(
                call, found, machines, remotes, view_of=lambda names: Shown(names)
            )
    assert (result.error, result.code) == (None, ExitCode.EXPECTED), result.verdicts
    assert "push" in shown
    assert "broker" not in shown  # a server's log is kept, not shown
    run = Run(store.load(result.path), catalogue.reader(store.load(result.path)))
    assert (result.path / "middle/broker.log").read_text() == "a server's log\n"
    assert run.brokers == {("middle", "broker"), ("middle", "broker.2")}
    assert (run.senders, run.receivers) == ({"push"}, ["pull-1", "pull-2"])
    assert run.sent_all
    peers = [event.details["peer"] for event in run.connections]
    assert sorted(peers) == ["10.7.0.3", "10.7.0.4"]  # and not the sender's
    ends = {e.place: e.details["by"] for e in run.events("exit") if e.machine == "middle"}
    assert ends == {("middle", "broker"): "fault", ("middle", "broker.2"): "harness"}


def test_the_conformance_test_starts_it(mine: str) -> None:
    checks = {check.run.__name__: check for check in conformance.CHECKS}
    for name in ("lines", "the_receiver_comes_back_to_another_sender"):
        found = conformance.try_one(
            checks[name], implementations.get(mine).programs, str(installer.root())
        )
        assert found.mismatch is None, (str(found.mismatch), found.mismatch.output)


def test_it_is_the_senders() -> None:
    choice = implementations.chosen("sender=redis_streams,receiver=redis_streams")
    found = implementations.programs(choice)
    assert found["broker"].owner == "redis_streams"
    assert "broker" not in implementations.programs(implementations.chosen("pyzmq"))
    assert "broker" in implementations.declared(found, catalogue.load("round_robin"))


def test_the_lab_watches_its_connections_and_not_the_senders() -> None:
    programs = implementations.get("redis_streams").programs
    assert programs["broker"].watched == programs["pull"].watched == {"connected", "disconnected"}
    assert not programs["push"].watched


def test_there_is_none_to_restart() -> None:
    with pytest.raises(LabError, match="the program `broker`, which 'pyzmq' doesn't have"):
        implementations.require_playable(
            catalogue.load("restart_broker"), implementations.chosen("pyzmq"), []
        )


def test_nobody_binds() -> None:
    experiment = catalogue.load("pusher_binds")
    applied = expectations.applied(experiment, "", implementations.chosen("redis_streams"))
    assert {claim.expected for claim in applied.claims} == {Outcome.NOT_APPLICABLE}
    assert {"nobody binds" in claim.because for claim in applied.claims} == {True}


def test_its_connections_with_senders_are_no_receivers() -> None:
    def event(name: str, machine: str, process: str, **details: Any) -> Event:
        return Event(t=1.0, event=name, machine=machine, process=process, details=details)

    started = [
        event("start", "a", "broker", program="broker", implementation="redis_streams"),
        event("start", "a", "broker.2", program="broker", implementation="redis_streams"),
        event("start", "b", "broker", program="broker"),  # a user's own program
    ]
    places = brokers.places(started)
    assert places == {("a", "broker"), ("a", "broker.2")}
    receivers = event("connected", "a", "broker", peer="10.0.0.3")
    seen = [receivers, event("connected", "a", "broker", peer="10.0.0.1"), started[2]]
    assert brokers.with_receivers(seen, places, {"10.0.0.1"}) == [receivers]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("A200A8C0", "192.168.0.162"),
        ("0000000000000000FFFF0000A200A8C0", "192.168.0.162"),
        ("00000000000000000000000001000000", "::1"),
        ("000000FD000000000000000001000000", "fd00::1"),
    ],
)
def test_an_address_as_the_kernel_writes_it(text: str, address: str) -> None:
    assert connections.shown(connections.packed(text)) == address
