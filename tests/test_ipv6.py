"""Labs whose network is IPv6: inventories, runs, faults and captures."""

from pathlib import Path
from typing import Any

import command
import pytest

from pushpull.api import Lab
from pushpull.core.errors import LabError
from pushpull.machines.inventory import Inventory, load, resized
from pushpull.machines.providers.registry import choose
from pushpull.runs import pcap
from pushpull.runs.store import load as load_run

SIX = """\
network: fd00:9::/64
machines:
  push: {role: pusher, address: fd00:9::1}
  pull: {role: puller, address: fd00:9::000a, count: 2}
"""
SERVER = """
import socket, sys
address = sys.argv[1]
server = socket.create_server((address, 9999), family=socket.AF_INET6)
print("up", flush=True)
while True:
    wire, _ = server.accept()
    while data := wire.recv(1 << 16):
        print("got", len(data), flush=True)
"""
SENDER = """
import time, zmq
socket = zmq.Context().socket(zmq.PUSH)
socket.ipv6 = True
socket.bind("tcp://[fd00:9::1]:5555")
for number in range(5):
    socket.send_string(str(number))
    print(number, flush=True)
time.sleep(60)
"""
RECEIVER = """
import zmq
socket = zmq.Context().socket(zmq.PULL)
socket.ipv6 = True
socket.connect("tcp://[fd00:9::1]:5555")
while True:
    print(socket.recv_string(), flush=True)
"""
CLIENT = """
import socket, sys, time
try:
    wire = socket.create_connection((sys.argv[1], 9999))
except ConnectionRefusedError:
    sys.exit(print("refused", flush=True))
while True:
    wire.send(b"x" * 100)
    time.sleep(0.01)
"""


@pytest.fixture
def six(tmp_path: Path) -> Inventory:
    file = tmp_path / "inventory.yaml"
    file.write_text(SIX)
    return load(file)


def test_an_inventory_counts_its_addresses_on(six: Inventory, tmp_path: Path) -> None:
    assert [m.address for m in six.machines] == ["fd00:9::1", "fd00:9::a", "fd00:9::b"]
    more = resized.resized(six, "puller", 3, tmp_path)
    assert [m.address for m in more.with_role("puller")] == ["fd00:9::a", "fd00:9::b", "fd00:9::c"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fd00:9::1}", "fd00:8::1}", "3: fd00:8::1 is not an address for a machine in the network"),
        ("fd00:9::1}", "10.0.0.1}", "3: 10.0.0.1 is not an address for a machine in the network"),
        ("fd00:9::1}", "fd00:9::b}", "4: 'pull' has the address fd00:9::b, as 'push' on line 3"),
        ("fd00:9::1}", "fd00:9::1%eth0}", "3: 'address' can't be 'fd00:9::1%eth0'"),
        ("fd00:9::1}", '"::ffff:10.0.0.1"}', "3: 'address' can't be '::ffff:10.0.0.1'"),
        ("fd00:9::/64", "fd00:9::7/64", "1: 'network' can't be 'fd00:9::7/64' - write fd00:9::/64"),
        ("fd00:9::/64", "fe80::/64", "1: 'network' can't be 'fe80::/64'"),
        ("fd00:9::/64", "10.9.0.0/24", "3: fd00:9::1 is not an address for a machine in the"),
        ("fd00:9::/64", "fd00:9::/124", "4: 2 machines"),
    ],
)
def test_mistakes_in_addresses(mistakes: Any, old: str, new: str, expected: str) -> None:
    text = SIX.replace("count: 2", "count: 9") if "/124" in new else SIX
    found = mistakes(text.replace(old, new))
    assert any(line.startswith(expected.replace("2 machines", "9 machines")) for line in found)


def test_plain_processes_have_no_ipv6(six: Inventory) -> None:
    with (
        pytest.raises(LabError, match="'loopback' has IPv4 addresses only"),
        choose("loopback", six, print).lab(keep=False),
    ):
        pass


@pytest.mark.slow
def test_a_run_with_faults(six: Inventory, tmp_path: Path) -> None:
    """The traffic of a program goes on after each fault, which is verified."""
    texts = {"server": SERVER, "client": CLIENT, "sender": SENDER, "receiver": RECEIVER}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    with Lab.up(
        six.path, folder=tmp_path, runs=tmp_path / "runs", provider="namespaces", name="six"
    ) as lab:
        push, pull, _ = lab.machines()
        assert lab.address(push) == "tcp://[fd00:9::1]:1234"
        lab.cut_at(push, inside=3)
        receiver = lab.start("receiver.py", on=pull)
        sender = lab.start("sender.py", on=push)
        lab.more(receiver, lines=2)
        lab.first(sender, prints=lambda line: line == "4")
        lab.heal()
        server = lab.start("server.py", on=push, args=["fd00:9::1"], ready=9999)
        lab.start("client.py", on=pull, args=["fd00:9::1"])
        lab.more(server, lines=3)
        lab.partition(pull, push)
        lab.heal()
        lab.more(server, lines=3)
        lab.slow(pull, delay_ms=1, corrupt_percent=30, seed=3)
        lab.more(server, lines=9)
        lab.heal()
        lab.lose(pull, every=4)
        lab.more(server, lines=9)
        lab.heal()
        lab.cut_cable(pull)
        lab.mend_cable(pull)
        lab.more(server, lines=3)
        lab.partition(pull, push, reject=True)
        late = lab.start("client.py", on=pull, args=["fd00:9::1"])
        lab.first(late, prints=lambda line: line == "refused")
    events = load_run(lab.path).events
    faults = [event.details for event in events if event.event == "fault"]
    names = ["cut_at", "partition", "slow", "lose", "cut_cable", "reject"]
    assert [details["fault"] for details in faults] == names
    assert all(details["verified"] for details in faults)
    counted = [e.details["counted"] for e in events if "counted" in e.details]
    assert (counted[0]["struck"], counted[0]["messages"], counted[0]["unread"]) == (1, 3, 0)
    assert counted[1]["corrupted"] > 0
    assert counted[2]["lost_received"] > 0


def test_the_articles_run_is_captured(six: Inventory, tmp_path: Path) -> None:
    ran = command.fab(
        "run-experiment", "--experiment", "round_robin", "--capture", "--count", "4",
        "--interval", "0.05", "--provider", "namespaces", "--inventory", str(six.path),
        "--runs", str(tmp_path / "runs"),
    )  # fmt: skip
    assert "4 lines were printed, each the text of a message as sent" in " ".join(
        ran.stdout.split()
    ), ran.stdout + ran.stderr
    (run,) = (tmp_path / "runs").glob("*-round_robin")
    packets = list(pcap.read(run / "push" / "lab.pcap"))
    assert {packet.source for packet in packets} >= {"fd00:9::1", "fd00:9::a"}
    assert any(packet.flags & pcap.SYN for packet in packets)
