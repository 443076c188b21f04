"""The lab's own wire does to each packet what its seed says, on kernels without netem too."""

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from command import PROJECT
from own_folder import played
from test_exact_packets import RECEIVE, SEND, SOCKET

from pushpull.core.faults.change import Spot
from pushpull.core.faults.network import slowness
from pushpull.machines.agent.wire import Wire, checksum, corrupted

EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment


@experiment(source="a test", faults=("slow",))
def slowed(lab):
    "Datagrams that are lost, doubled, damaged and overtaken by chance."
    for _ in range(2):
        receiver = lab.start("receive", on="pull-1", ready=lambda line: line == "ready")
        lab.slow("push", delay_ms=100, jitter_ms=10, loss_percent=20, duplicate_percent=10,
                 corrupt_percent=10, reorder_percent=10, seed=7)
        lab.start("send", on="push", to="pull-1").wait()
        lab.heal()
        lab.start("stop", on="push", to="pull-1").wait()
        receiver.wait()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""
STILL = dict.fromkeys(
    ("seed", "delay", "jitter", "rate", "loss", "reorder", "duplicate", "corrupt"), 0.0
)
CHANCES = {
    "seed": 7, "delay": 0.1, "jitter": 0.01, "loss": 0.2, "duplicate": 0.1, "corrupt": 0.1,
    "reorder": 0.1,
}  # fmt: skip
# An offloading header that asks for no checksum, Ethernet, IP without options, 8 bytes.
FRAME = bytes(10) + bytes(14) + b"\x45" + bytes(19) + bytes(range(8))
# Says whether a wire takes a packet of another link that comes before it is bound to its own.
OF_ANOTHER_LINK = """
import select, socket
from pushpull.machines.agent import wire

class Late(socket.socket):
    def bind(self, place):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"", ("127.0.0.1", 9))
        super().bind(place)

wire.socket = type("Patched", (), {**vars(socket), "socket": Late})
print(bool(select.select([wire.take_from("inlet")], [], [], 0)[0]))
"""


def test_a_wire_takes_no_packet_of_another_link() -> None:
    script = 'ip link set lo up; ip link add inlet up type veth peer other; exec "$@"'
    network = ["unshare", "--user", "--map-root-user", "--net", "sh", "-ec", script, "sh"]
    python = [sys.executable, "-c", OF_ANOTHER_LINK]
    assert subprocess.check_output([*network, *python], text=True, cwd=PROJECT) == "False\n"


@pytest.mark.slow
def test_a_seed_decides_what_becomes_of_each_packet(tmp_path: Path) -> None:
    timed = SEND.replace("int(sock.recv(100))", "int(sock.recv(100)), time.monotonic() - begun")
    clock = "import time\nbegun = time.monotonic()\n"
    files = {
        "experiment.py": EXPERIMENT,
        "receive.py": SOCKET + RECEIVE,
        "send.py": clock + SOCKET + timed,
        "stop.py": SOCKET + 'sock.sendto(b"stop", PLACE)\n',
    }
    run, said = played(tmp_path, files)
    wire, arrive, on_time = Wire({**STILL, **CHANCES}), [], []
    for number in range(1, 41):
        before = dict(wire.count)
        copies = wire.carry(FRAME, 0.0)
        if wire.count["corrupted"] == before["corrupted"]:  # else its checksum is wrong
            arrive += [number] * len(copies)
            on_time += [number] * (wire.count["overtook"] == before["overtook"])
    for life in ("receive", "receive.2"):
        came = [r.text for r in run.records if r.process == life and r.stream == "stdout"]
        assert sorted(map(int, came[1:])) == arrive
    faults = [e for e in run.events if e.event == "fault"]
    assert [e.details["own_wire"]["seed"] for e in faults] == [7, 7]
    slower = "(100 ms later, 10 ms more or less, 20%"  # the screen is not wider
    assert f"push had its network slowed down {slower}" in said
    for heal in (e for e in run.events if e.event == "repair"):
        assert heal.details["counted"] == wire.count
        assert heal.details["verified"]
    back = [r.text.split() for r in run.records if r.process == "send" and r.stream == "stdout"]
    assert min(float(after) for number, after in back if int(number) in on_time) >= 0.09


def due(wire: Wire, packets: int, now: float = 0.0) -> list[float]:
    return [when for _ in range(packets) for when, _ in wire.carry(FRAME, now)]


def test_packets_are_as_late_as_they_are_to_be_and_keep_their_order() -> None:
    assert due(Wire({**STILL, "delay": 0.05}), 3, 1.0) == [1.05] * 3
    late = due(Wire({**STILL, "delay": 0.05, "jitter": 0.02}), 500)
    assert late == sorted(late)
    assert 0.03 <= late[0] <= late[-1] <= 0.07
    assert late[0] < late[-1]
    assert max(due(Wire({**STILL, "delay": 0.01, "jitter": 0.5}), 50)) <= 0.51


def test_a_rate_sends_one_packet_after_another() -> None:
    size = len(FRAME) - 10  # without the offloading header
    wire = Wire({**STILL, "rate": 100.0 * size, "delay": 1.0})
    assert due(wire, 3) == pytest.approx([1.01, 1.02, 1.03])
    assert due(wire, 1, now=5.0) == pytest.approx([6.01])


def test_chances_are_as_often_as_they_say_and_do_not_depend_on_each_other() -> None:
    wire = Wire({**STILL, **CHANCES})
    due(wire, 10_000)
    assert wire.count["seen"] == 10_000
    assert 1_800 < wire.count["lost"] < 2_200
    for name in ("duplicated", "overtook", "corrupted"):
        assert 650 < wire.count[name] < 950  # a tenth of what is not lost
    one, other = Wire({**STILL, "loss": 0.2}), Wire({**STILL, "loss": 0.2, "jitter": 0.5})
    assert [len(one.carry(FRAME, 0.0)) for _ in range(99)] == [
        len(other.carry(FRAME, k)) for k in range(99)
    ]


@pytest.mark.parametrize("place", [0.0, 0.5, 0.999999])
def test_damage_is_one_bit_behind_the_ip_header(place: float) -> None:
    damaged = corrupted(FRAME, place)
    wrong = [a ^ b for a, b in zip(FRAME, damaged, strict=True)]
    assert sum(bin(bits).count("1") for bits in wrong) == 1
    assert not any(wrong[:-8])


def test_a_checksum_that_is_still_to_be_made_is_made_before_the_damage() -> None:
    """Otherwise the kernel would make it from the damaged data, and nobody would notice."""
    start, offset = 14 + 20, 6  # of UDP
    header = struct.pack("=BBHHHH", 1, 0, 0, 0, start, offset)
    frame = header + FRAME[10:-2] + bytes(2)
    sound = struct.pack(">H", checksum(frame[10 + start :]))
    damaged = corrupted(frame, 0.0)
    assert damaged[0] == 0
    assert damaged[10 + start + offset :][:2] == sound


@pytest.mark.parametrize("size", [2, 3, 20, 21, 1400])
def test_the_checksum_is_the_internets(size: int) -> None:
    data = random.Random(size).randbytes(size)
    even = data + bytes(size % 2)
    total = sum(int.from_bytes(even[k : k + 2], "big") for k in range(0, len(even), 2))
    assert (total + checksum(data)) % 0xFFFF == 0


def test_netem_is_taken_if_there_is_no_seed_and_the_kernel_has_it() -> None:
    spot = Spot(lambda: "eth0", ["192.168.0.162"])
    change = slowness(spot, delay_ms=50, rate_kbit=64)
    assert change.do[0][-2:] == ["rate", "64kbit"]
    assert change.otherwise is not None
    assert change.otherwise.wire is not None
    assert change.otherwise.wire["wire"]["delay"] == 0.05
    assert 'ip daddr { 192.168.0.162 } fwd to "lw' in change.otherwise.do[-1][1]
    assert slowness(spot, delay_ms=50, seed=0).wire is not None
