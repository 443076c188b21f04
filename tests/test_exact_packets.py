"""Packets are lost by their number: the same ones each time, as receiver and counters agree."""

from pathlib import Path

import pytest
from own_folder import played

from pushpull.analysis.event_text import EventDescriber
from pushpull.core.errors import LabError
from pushpull.core.faults.change import Spot
from pushpull.core.faults.network import cut_after, loss
from pushpull.core.records import Event

SPOT = Spot(lambda: "eth0", ["192.168.0.161", "192.168.0.162"])
EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment

ROUNDS = {rounds}


@experiment(source="a test", faults=("lose", "cut_after"))
def counted(lab):
    "Datagrams in rounds, of which some are lost."
    for lose in ROUNDS:
        receiver = lab.start("receive", on="pull-1", ready=lambda line: line == "ready")
        call = lab.lose if "bytes" not in lose else lab.cut_after
        call("pull-1", **lose)
        lab.start("send", on="push", to="pull-1").wait()
        lab.heal()
        lab.start("stop", on="push", to="pull-1").wait()
        receiver.wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
# A datagram of 72 bytes is an IP packet of 100; each is answered.
SOCKET = """
import os, socket
PLACE = os.environ["LAB_HOST"], 5000
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
"""
RECEIVE = """
sock.bind(PLACE)
print("ready", flush=True)
while (got := sock.recvfrom(100))[0] != b"stop":
    print(int(got[0]), flush=True)
    sock.sendto(got[0], got[1])
"""
SEND = """
for number in range(1, 41):
    sock.sendto(b"%072d" % number, PLACE)
sock.settimeout(0.3)
try:
    while True:
        print(int(sock.recv(100)), flush=True)
except OSError:
    pass
"""
# What is lost, and the numbers of the datagrams that then arrive, and of the answers that do.
ROUNDS: dict[str, tuple[list[int], list[int]]] = {
    "{'every': 10}": ([n for n in range(1, 41) if n % 10], []),
    "{'packets': {3, 4}, 'others': 'push'}": ([n for n in range(1, 41) if n not in (3, 4)], []),
    "{'packets': {1}, 'way': 'sent'}": (list(range(1, 41)), list(range(2, 41))),
    "{'bytes': 1000, 'way': 'received'}": (list(range(1, 11)), []),
}


@pytest.mark.slow
def test_the_same_packets_are_lost_each_time(tmp_path: Path) -> None:
    ways = [*ROUNDS, *list(ROUNDS)[:1]]
    rounds = f"[{', '.join(ways)}]"
    files = {
        "experiment.py": EXPERIMENT.format(rounds=rounds),
        "receive.py": SOCKET + RECEIVE,
        "send.py": SOCKET + SEND,
        "stop.py": SOCKET + 'sock.sendto(b"stop", PLACE)\n',
    }
    run, said = played(tmp_path, files)
    heals = [e for e in run.events if e.event == "repair"]
    for k, (way, heal) in enumerate(zip(ways, heals, strict=True)):
        process, (arrive, answers) = f"receive.{k + 1}" if k else "receive", ROUNDS[way]
        came = [r.text for r in run.records if r.process == process and r.stream == "stdout"]
        back = [r.text for r in run.records if r.process == process.replace("receive", "send")]
        assert came == ["ready", *map(str, arrive)]
        assert back == [str(n) for n in (answers or arrive)]
        side = "sent" if answers else "received"
        counted = heal.details["counted"]
        assert counted == {f"lost_{side}": 40 - len(back), f"seen_{side}": 40}
    done_to = [e for e in run.events if e.event in ("fault", "repair")]
    assert [e.details["verified"] for e in done_to] == [True] * 2 * len(heals)
    assert "pull-1 had packets dropped by number (every 10th received)" in said
    assert "had its network healed of 'lose': 4 of 40 packets received were lost" in " ".join(
        said.split()
    )


BOTH = (
    "mod 2147483648 { 2, 3 } counter name lost_sent meta mark set",
    "mod 2147483648 { 2, 3 } counter name lost_received drop",
    "ip daddr { 192.168.0.161, 192.168.0.162 } numgen",
    'egress device "eth0"',
)


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (loss(SPOT, every=10), ["numgen inc mod 10 9 counter name lost_received drop"]),
        (loss(SPOT, packets={4, 3}, way="both"), BOTH),
        (cut_after(SPOT, bytes=7), ["quota allowed { over 7 bytes }", 'quota name "allowed"']),
    ],
)
def test_rules_count_the_packets_of_others(change: object, lines: list[str]) -> None:
    for line in lines:
        assert line in change.input  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda: loss(SPOT),
        lambda: loss(SPOT, every=2, packets={1}),
        lambda: loss(SPOT, every=-1),
        lambda: loss(SPOT, packets={0, 3}),
        lambda: loss(SPOT, packets={2**31}),
        lambda: loss(SPOT, every=2, way="back"),  # type: ignore[arg-type]
        lambda: cut_after(SPOT, bytes=0),
    ],
)
def test_what_says_no_packets_is_a_mistake(change: object) -> None:
    with pytest.raises(LabError):
        change()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("details", "says"),
    [
        ({"packets": [3, 4], "way": "both"}, " (number 3, 4 both ways)"),
        ({"packets": list(range(9)), "way": "sent"}, " (number 0, 1, 2, 3, 4, 5, ... sent)"),
        ({"every": "x", "way": 3}, ""),
    ],
)
def test_a_reader_sees_which_packets(details: dict[str, object], says: str) -> None:
    event = Event(t=1, event="fault", machine="m", process="", details={"fault": "lose", **details})
    assert EventDescriber().describe(event) == f"m had packets dropped by number{says}"
