"""Faults on the embedded lab: visible from outside, and without leftovers."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import PROJECT, fab, only_run

from pushpull.core.errors import LabError
from pushpull.core.faults.change import Change, Spot
from pushpull.core.faults.fault import Fault
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER, MEND_CABLE, POWER_ON, SHUT_DOWN
from pushpull.core.faults.network import RATE, rate, separation
from pushpull.machines.inventory import load
from pushpull.machines.pool import connected
from pushpull.machines.providers.base import Machines
from pushpull.machines.providers.namespaces import Namespaces
from pushpull.machines.remote import Remote
from pushpull.machines.traffic_rules import hold, reaches, try_out
from pushpull.runs import store

_FOLDER = "trial"
_SLOW = ("rate", "50kbit", "burst", "16kb", "latency", "400ms")

# Prints the flags of each TCP packet from an address, until standard input ends.
_SNIFF = """
import select, socket, sys
source = socket.inet_aton(sys.argv[1])
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.ntohs(0x0800))
print("ready", flush=True)
while True:
    readable = select.select([sniffer, sys.stdin], [], [])[0]
    if sniffer in readable:
        packet = sniffer.recv(65536)
        if packet[9] == 6 and packet[12:16] == source:
            print(packet[(packet[0] & 15) * 4 + 13], flush=True)
    elif sys.stdin in readable:
        break
"""
_FIN, _RST = 1, 4

# A server that holds one connection, and a client that opens one; both end with their input.
_HOLD = """
import socket, sys
server = socket.create_server((sys.argv[1], 4000))
print("ready", flush=True)
held = server.accept()
print("held", flush=True)
sys.stdin.read()
"""
_OPEN = """
import socket, sys
opened = socket.create_connection((sys.argv[1], 4000), timeout=5)
print("opened", flush=True)
sys.stdin.read()
"""


ETH0 = Spot(lambda: "eth0")


def apart(other: Remote, *, one_way: bool = False, reject: bool = False) -> Change:
    """Return the change that keeps a machine from another one."""
    return separation(Spot(str, [other.access.address]), one_way=one_way, reject=reject)


@pytest.fixture
def lab() -> Iterator[tuple[Machines, dict[str, Remote]]]:
    inventory = load(PROJECT / "inventory.yaml")
    with Namespaces(inventory).lab(keep=False) as machines, connected(machines) as remotes:
        for remote in remotes.values():
            remote.deploy(_FOLDER, {})
        yield machines, remotes


def test_a_shut_down_closes_connections_and_a_power_cut_does_not(
    lab: tuple[Machines, dict[str, Remote]],
) -> None:
    machines, remotes = lab
    assert not _flags_at_the_end(machines, remotes, CUT_POWER) & (_FIN | _RST)
    machines.do(POWER_ON, "pull-1")
    remotes["pull-1"] = Remote(machines.access["pull-1"])
    assert _flags_at_the_end(machines, remotes, SHUT_DOWN) & (_FIN | _RST)


def _flags_at_the_end(machines: Machines, remotes: dict[str, Remote], fault: Fault) -> int:
    """Return all flags that pull-1 sends to push when the fault ends a connection between them."""
    push, pull = remotes["push"], remotes["pull-1"]
    server = _talk(push, _HOLD, push.access.address)
    assert next(server.lines) == "ready"
    client = _talk(pull, _OPEN, push.access.address)
    assert next(client.lines) == "opened"
    assert next(server.lines) == "held"
    sniffer = _talk(push, _SNIFF, pull.access.address)
    assert next(sniffer.lines) == "ready"
    machines.do(fault, "pull-1")
    sniffer.channel.shutdown_write()
    flags = 0
    for line in sniffer.lines:
        flags |= int(line)
    server.channel.close()
    return flags


class _Talk:
    def __init__(self, remote: Remote, script: str, *arguments: str) -> None:
        self.channel = remote.talk([remote.access.python, "-ISc", script, *arguments])
        self.lines = (line.strip() for line in self.channel.makefile("r"))


def _talk(remote: Remote, script: str, *arguments: str) -> _Talk:
    return _Talk(remote, script, *arguments)


def test_a_cut_cable_stops_the_lab_network_and_not_the_control(
    lab: tuple[Machines, dict[str, Remote]],
) -> None:
    machines, remotes = lab
    push, pull = remotes["push"], remotes["pull-1"]
    assert reaches(push, pull)
    machines.do(CUT_CABLE, "pull-1")
    assert not reaches(push, pull)
    assert pull.run(["hostname"]) == b"pull-1\n"
    machines.do(MEND_CABLE, "pull-1")
    assert reaches(push, pull)
    assert reaches(pull, push)


@pytest.mark.parametrize("reject", [False, True])
def test_a_partition_blocks_both_ways_and_leaves_no_rule(
    lab: tuple[Machines, dict[str, Remote]], reject: bool
) -> None:
    _, remotes = lab
    push, pull = remotes["push"], remotes["pull-1"]
    before = pull.run(["nft", "list", "ruleset"])
    change = apart(push, reject=reject)
    held = pull.hold(_FOLDER, change.order())
    assert not reaches(push, pull)
    assert not reaches(pull, push)
    assert reaches(push, remotes["pull-2"])
    held.release()
    assert reaches(push, pull)
    assert pull.run(["nft", "list", "ruleset"]) == before


@pytest.mark.slow
def test_two_labs_on_one_host_leave_each_others_rules_alone(
    lab: tuple[Machines, dict[str, Remote]],
) -> None:
    """Each is a process of its own, as two clones are, and makes its first partition or trial."""
    push, pull = lab[1]["push"], lab[1]["pull-1"]
    make = (
        "from pushpull.core.faults.network import PARTITION, separation; import sys;"
        " from pushpull.core.faults.change import Spot;"
        f" change = separation(Spot(str, ['{push.access.address}']));"
        " sys.stdout.buffer.write(change.order() + PARTITION.trial().order())"
    )
    orders = [
        subprocess.check_output([sys.executable, "-c", make], cwd=PROJECT).splitlines(keepends=True)
        for _ in range(2)
    ]
    assert len({str(json.loads(order)["undo"]) for lab in orders for order in lab}) == 4
    held = [pull.hold(_FOLDER, lab[0]) for lab in orders]
    held[0].release()
    assert not reaches(push, pull)
    held[1].release()
    assert reaches(push, pull)


def test_one_way_blocks_one_way(lab: tuple[Machines, dict[str, Remote]]) -> None:
    _, remotes = lab
    push, pull = remotes["push"], remotes["pull-1"]
    change = apart(pull, one_way=True)
    held = push.hold(_FOLDER, change.order())
    assert not reaches(push, pull)
    assert reaches(pull, push)
    held.release()


def test_a_queue_of_the_users_own_is_left_alone(lab: tuple[Machines, dict[str, Remote]]) -> None:
    pull = lab[1]["pull-1"]
    pull.run(["tc", "qdisc", "add", "dev", "eth0", "root", "pfifo", "limit", "77"])
    before = pull.run(["tc", "qdisc", "show"])
    assert b"limit 77p" in before
    with pytest.raises(LabError, match="eth0 already has a queueing discipline"):
        hold(pull, _FOLDER, rate(ETH0, kbit=100))
    pull.run(["tc", "qdisc", "add", "dev", "lo", "root", "pfifo", "limit", "78"])
    with pytest.raises(LabError, match="lo already has a queueing discipline"):
        try_out(pull, _FOLDER, RATE.trial())
    assert b"limit 78p" in pull.run(["tc", "qdisc", "show", "dev", "lo"])


def test_a_rule_keeper_does_not_undo_what_was_refused(
    lab: tuple[Machines, dict[str, Remote]],
) -> None:
    pull = lab[1]["pull-1"]
    pull.run(["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *_SLOW])
    before = pull.run(["tc", "qdisc", "show"])
    with pytest.raises(LabError, match="Exclusivity"):
        pull.hold(_FOLDER, rate(ETH0, kbit=100).order())
    assert pull.run(["tc", "qdisc", "show"]) == before


def test_a_rule_keeper_heals_when_the_connection_is_gone(
    lab: tuple[Machines, dict[str, Remote]],
) -> None:
    _, remotes = lab
    push, pull = remotes["push"], remotes["pull-1"]
    change = apart(push)
    other = Remote(pull.access)
    other.hold(_FOLDER, change.order())
    assert not reaches(push, pull)
    watcher = _talk(pull, _UNTIL_NO_TABLE)
    other.close()
    assert next(watcher.lines) == "healed"
    assert reaches(push, pull)


# Another's change ends without an event, so the machine looks, for at most ten seconds.
_UNTIL_NO_TABLE = """
import select, subprocess
for _ in range(500):
    if not subprocess.run(["nft", "list", "tables"], stdout=subprocess.PIPE).stdout.strip():
        print("healed", flush=True)
        break
    select.select([], [], [], 0.02)
"""


@pytest.mark.slow
def test_a_fault_that_a_provider_cannot_do_is_refused_before_the_run(tmp_path: Path) -> None:
    done = fab("run-experiment", "--experiment", "power_cut", "--provider", "loopback",
               "--runs", tmp_path / "runs")  # fmt: skip
    assert done.returncode == 2
    assert "cut_power" in done.stderr
    assert "loopback" in done.stderr
    assert not list((tmp_path / "runs").glob("*/records.jsonl"))


CHOSEN = '''"""One that is chosen by what was observed."""
from pushpull.api import Verdict, claim, experiment
from pushpull.experiments.judges import line_formats


@experiment(
    source="a test", reads=line_formats.read, count=20, interval=0.05, faults=("cut_cable",)
)
def chosen(lab):
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", **lab.plan)
    lab.cut_cable(lambda seen: seen.last_receiver if seen.received >= 7 else None)
    lab.mend_cable("puller")
    lab.inject("kill", lambda seen: max(pullers, key=seen.received_by))
    pusher.wait()


@claim("It ends.")
def ends(run):
    return Verdict.holds("It did.")
'''


def test_targets_are_chosen_by_what_was_observed(tmp_path: Path) -> None:
    (tmp_path / "chosen.py").write_text(CHOSEN)
    command = ("run-experiment", "--experiment", tmp_path / "chosen.py")
    done = fab(*command, "--provider", "namespaces", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    stored = store.load(only_run(tmp_path / "runs"))
    cut, killed = (event for event in stored.events if event.event == "fault")
    assert (cut.details["fault"], cut.details["verified"]) == ("cut_cable", True)
    assert (killed.details["fault"], killed.details["verified"]) == ("kill", True)
    received = [
        record.machine
        for record in stored.records
        if record.process == "pull" and record.stream == "stdout" and record.t < cut.t
    ]
    assert len(received) >= 7
    assert cut.machine in received


def test_a_fault_that_does_not_exist_is_refused_before_the_lab_is_up(tmp_path: Path) -> None:
    (tmp_path / "chosen.py").write_text(CHOSEN.replace('"cut_cable"', '"cutcable"'))
    done = fab("run-experiment", "--experiment", tmp_path / "chosen.py", "--runs", tmp_path)
    assert done.returncode == 2
    assert "there is no fault 'cutcable'" in done.stderr
    assert "did you mean 'cut_cable'?" in done.stderr
    assert "chosen.py:" in done.stderr
    assert "can't do" not in done.stderr


def test_an_unknown_variant_is_a_mistake(tmp_path: Path) -> None:
    done = fab("run-experiment", "--experiment", "ways_to_leave:nap", "--runs", tmp_path)
    assert done.returncode == 2
    assert "has no variant 'nap'" in done.stderr


def test_a_provider_says_what_it_cannot_do() -> None:
    with pytest.raises(LabError, match="can't do 'cut_power'"):
        Machines({}).do(CUT_POWER, "pull-1")


def test_a_program_is_repaired_when_its_next_life_is_ready(tmp_path: Path) -> None:
    pace = ("--interval", "0.05", "--count", 80)  # a program may take seconds to start
    done = fab("run-experiment", "--experiment", "return_worker", *pace, "--runs", tmp_path)
    assert done.returncode == 0, done.stdout
    events = store.load(only_run(tmp_path)).events
    (repair,) = (event for event in events if event.event == "repair")
    (ready,) = (e for e in events if (e.event, e.process) == ("ready", repair.process))
    assert repair.details["verified"]
    assert repair.t >= ready.t


@pytest.mark.slow
def test_a_process_that_kills_itself_is_reported_as_such(tmp_path: Path) -> None:
    done = fab("run-experiment", "--experiment", "fast_kill:told", "--runs", tmp_path)
    assert done.returncode == 0, done.stdout
    stored = store.load(only_run(tmp_path))
    (fault,) = (event for event in stored.events if event.event == "fault")
    assert fault.details["fault"] == "die_at"
    assert fault.details["verified"]
    (end,) = (e for e in stored.events if e.event == "exit" and e.machine == fault.machine)
    assert (end.details["by"], end.details["status"]) == ("itself", 128 + signal.SIGKILL)
    printed = [r for r in stored.records if (r.machine, r.stream) == (fault.machine, "stdout")]
    assert (printed[-1].text or "").startswith("1000 , ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", ["terminate", "kill", "pause", "cut_power", "reject", "pause_resume"]
)
def test_a_way_to_leave_behaves_as_described(variant: str, tmp_path: Path) -> None:
    way = f"ways_to_leave:{variant}"
    done = fab("run-experiment", "--experiment", way, "--capture", "--runs", tmp_path)
    assert done.returncode == 0, done.stdout
    verdicts = json.loads((tmp_path / "latest" / "verdicts.json").read_text())
    assert {verdict["verdict"] for verdict in verdicts} == {"holds"}


CABLE = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", faults=("cut_cable",))
def cable(lab):
    "A cable that is out for as short as can be, again and again."
    for _ in range(6):
        lab.cut_cable("pull-1")
        lab.mend_cable("pull-1")


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""


@pytest.mark.slow
def test_a_cable_that_was_out_for_a_moment_is_verified_to_be_back(tmp_path: Path) -> None:
    """Though the machine that looks may just have asked in vain for the other's link address."""
    (tmp_path / "cable.py").write_text(CABLE)
    flags = ("--experiment", tmp_path / "cable.py", "--runs", tmp_path / "runs")
    done = fab("run-experiment", "--provider", "namespaces", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    events = store.load(only_run(tmp_path / "runs")).events
    seen = [e.details["verified"] for e in events if e.event in ("fault", "repair")]
    assert seen == [True] * 12
