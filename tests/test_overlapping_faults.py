"""Faults that overlap: each is checked and undone by itself, in any order."""

import itertools
import re
from pathlib import Path

import pytest
from broken_lab import Broken
from own_folder import played

from pushpull.analysis.repairs import OpenFaults
from pushpull.core.errors import LabError
from pushpull.core.faults.change import PROBE, Spot
from pushpull.core.faults.network import cut_after, cut_at, loss, slowness
from pushpull.core.records import Event
from pushpull.engine.isolation import Isolation

PARTITIONS = (("push", ["pull-1"]), ("push", ["pull-1", "pull-2"]), ("pull-1", ["push"]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_each_fault_is_undone_alone_in_any_order(
    monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...]
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    active = set(range(3))

    def passes(sender: str, receiver: str) -> bool:
        pair = {sender, receiver}
        return not any(pair == {these, one} for k in active for these, those in [PARTITIONS[k]]
                       for one in those)  # fmt: skip

    lab.passes = passes
    done = [lab.lab.partition(these, those) for these, those in PARTITIONS]
    assert lab.verified() == [True] * 3
    for k in order:
        lab.events.clear()
        active.remove(k)
        lab.lab.heal(done[k])
        assert [(e.machine, e.details["undone"]) for e in lab.events] == [
            (PARTITIONS[k][0], "partition")
        ]
        assert lab.verified() == [True]
    lab.lab.heal(*done)
    lab.lab.heal()
    assert len(lab.events) == 1  # all was undone before


def test_rules_that_are_left_contradict_a_repair_that_no_datagram_could_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")
    lab.passes = lambda sender, receiver: False
    first, _ = lab.lab.partition("push", "pull-1"), lab.lab.partition("push", "pull-1")
    lab.rules = {"push"}
    lab.lab.heal(first)
    assert lab.verified()[2:] == [False]


@pytest.mark.parametrize("other", [{"loss_percent": 50}, {"rate_kbit": 8}, {"corrupt_percent": 1}])
def test_what_another_fault_may_lose_is_not_asked_of_a_partition(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, float]
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    spotted = Spot(lambda: "eth0", [])
    assert slowness(spotted, **other).delay_s is None  # type: ignore[arg-type]
    monkeypatch.setattr("pushpull.machines.traffic_rules.link_of", lambda _: "eth0")
    monkeypatch.setattr("pushpull.machines.traffic_rules.is_queued", lambda *_: True)
    lab.lab.slow("pull-1", **other)
    lab.passes = lambda sender, receiver: False
    lab.lab.partition("push", "pull-1", one_way=True)
    with pytest.raises(LabError, match="isn't as it was to be"):
        lab.lab.partition("push", "pull-2", one_way=True)


def test_a_check_waits_for_what_the_lab_itself_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    monkeypatch.setattr("pushpull.machines.traffic_rules.link_of", lambda _: "eth0")
    monkeypatch.setattr("pushpull.machines.traffic_rules.is_queued", lambda *_: True)
    slow = lab.lab.slow("push", delay_ms=500, jitter_ms=100)
    assert repr(slow) == "<slow on push>"  # at the prompt of --stop-on-refuted
    lab.lab.slow("pull-1", delay_ms=300)
    lab.passes = lambda sender, receiver: sender == "pull-1"
    lab.lab.partition("push", "pull-1", one_way=True)
    assert lab.late_s == pytest.approx(2 * 0.9)
    lab.lab.heal(slow)
    lab.passes = lambda sender, receiver: False
    lab.lab.partition("pull-2", "pull-1")
    assert lab.late_s == pytest.approx(2 * 0.3)


def test_a_machine_is_looked_at_from_where_no_other_fault_is_in_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = Broken(monkeypatch, "push", "pull-1", "pull-2")
    lab.passes = lambda sender, receiver: False
    lab.lab.partition("push", "pull-1")
    lab.passes = lambda sender, receiver: sender == "pull-2"
    lab.lab.cut_cable("pull-1")
    lab.lab.mend_cable("pull-1")
    assert lab.verified()[1:] == [False, True]
    lab.passes = lambda sender, receiver: False
    lab.lab.partition("pull-2", "pull-1")
    lab.lab.cut_cable("pull-1")
    lab.lab.mend_cable("pull-1")
    assert lab.verified()[4:] == [None, None]  # nobody could see it anyway


def test_only_faults_of_the_network_are_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Broken(monkeypatch, "push", "pull-1")
    cut = lab.lab.inject("cut_cable", "pull-1")
    assert repr(cut) == "<cut_cable>"
    with pytest.raises(LabError, match="'cut_cable' is not a fault of the network"):
        lab.lab.heal(cut)


SPOT = Spot(lambda: "eth0", ["192.168.0.161", "192.168.0.162"])


def test_wires_carry_a_packet_in_turn() -> None:
    """A later one is asked later, and takes what an earlier one has sent, but not its own."""
    first, second = slowness(SPOT, seed=1), cut_at(SPOT, before="READY")
    rules = [change.do[-1][-1] for change in (first, second)]
    places = [int(match[1]) for rule in rules if (match := re.search(r"priority (\d+)", rule))]
    assert places[0] < places[1]
    for change, other, passes in ((first, second, False), (second, first, True)):
        low, high = re.findall(r"meta mark (\d+)-(\d+) accept", change.do[-1][-1])[0]
        own, others = (dict(c.wire or {})["mark"] for c in (change, other))
        assert int(low) <= own <= int(high)
        assert (int(low) <= others <= int(high)) is not passes


@pytest.mark.parametrize(
    "change", [loss(SPOT, every=2, way="both"), cut_after(SPOT, bytes=9), slowness(SPOT, seed=1)]
)
def test_the_labs_own_datagrams_are_no_traffic(change: object) -> None:
    rules = change.input or change.do[-1][-1]  # type: ignore[attr-defined]
    passing = f"meta l4proto udp @th,64,64 0x{PROBE.hex()} accept"
    assert rules.index(passing) < rules.index("daddr")


def test_a_repair_ends_its_own_fault_alone() -> None:
    opened = OpenFaults()

    def see(event: str, name: str, process: str = "", **more: str) -> list[str]:
        details = {event: name, **more}
        found = opened.see(Event(t=1, event=event, machine="m", process=process, details=details))
        return [f"{fault.details['fault']} {fault.process}".strip() for fault in found]

    for fault, process in (("slow", ""), ("slow", ""), ("lose", ""), ("cut_cable", ""),
                           ("kill", "a"), ("pause", "b"), ("pause", "c")):  # fmt: skip
        assert see("fault", fault, process) == []
    assert see("repair", "resume", "c") == ["pause c"]
    assert see("repair", "heal", undone="lose") == ["lose"]
    assert see("repair", "heal", undone="slow") == ["slow"]
    assert see("repair", "start again", "a.2") == ["kill a"]
    assert see("repair", "power_on") == []
    assert see("repair", "mend_cable") == ["cut_cable"]
    assert [fault.details["fault"] for fault in opened.of("m")] == ["slow", "pause"]
    assert see("repair", "heal") == ["slow"]  # as runs of an earlier lab have it


EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", faults=("slow", "partition", "lose"))
def overlapping(lab):
    "A fault begins or ends while others go on, and while a program sends."
    receiver = lab.start("receive", on="pull-1", ready=lambda line: line == "ready")
    slow = lab.slow("push", delay_ms=500, seed=1)
    apart = lab.partition("push", "pull-1", one_way=True)
    lab.heal(apart)
    lost = lab.lose("pull-1", packets={1})
    again = lab.partition("push", "pull-1")
    slower = lab.slow("push", delay_ms=5, seed=1)
    lab.heal(again)
    lab.heal(slow)
    sender = lab.start("send", on="push", to="pull-1")
    for _ in range(3):
        more = lab.slow("push", delay_ms=1, seed=1)
        lab.heal(more)
    sender.wait()
    lab.heal(slower)
    receiver.wait()
    lab.heal(lost)


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
SOCKET = """
import os, socket, time
PLACE = os.environ["LAB_HOST"], 5000
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
"""
RECEIVE = """
sock.bind(PLACE)
print("ready", flush=True)
got = 0
while sock.recv(100) != b"stop":
    got += 1
print(got, flush=True)
"""
SEND = """
for number in range(2000):
    sock.sendto(b"%d" % number, PLACE)
    time.sleep(0.001)
sock.sendto(b"stop", PLACE)
"""


@pytest.mark.slow
def test_faults_begin_and_end_beside_others_and_cost_no_packet(tmp_path: Path) -> None:
    files = {"experiment.py": EXPERIMENT, "receive.py": SOCKET + RECEIVE, "send.py": SOCKET + SEND}
    run, _ = played(tmp_path, files)
    came = [r.text for r in run.records if r.process == "receive"]
    assert came == ["ready", "1999"]  # all but the first, which `lose` is for
    done_to = [e for e in run.events if e.event in ("fault", "repair")]
    assert {e.details["verified"] for e in done_to} == {True}
    healed = {e.details["undone"]: e.details for e in done_to if e.event == "repair"}
    assert healed["slow"]["counted"]["seen"] == 2001
    assert healed["lose"]["counted"] == {"lost_received": 1, "seen_received": 2001}


def test_machines_stay_apart_when_another_fault_of_theirs_is_healed() -> None:
    apart = Isolation()

    def see(event: str, name: str, **more: object) -> None:
        details = {event: name, **more}
        apart.note(Event(t=1, event=event, machine="push", process="", details=details))

    see("fault", "partition", **{"from": ["pull-1"]})
    see("fault", "slow")
    see("repair", "heal", undone="slow")
    assert apart.are_apart("pull-1", "push")
    assert not apart.are_apart("pull-2", "push")
    see("fault", "cut_after")
    see("repair", "heal", undone="partition")
    assert apart.are_apart("push", "pull-2")
    see("repair", "heal")
    assert not apart.are_apart("push", "pull-1")
    see("fault", "cut_power")
    assert apart.is_off("push")
    see("repair", "power_on")
    assert not apart.is_off("push")
