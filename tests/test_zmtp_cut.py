"""A network is cut at a point of the protocol: in the handshake, after a message, or within it."""

import struct
from pathlib import Path

import pytest
from command import fab, only_run

from pushpull.core.errors import LabError
from pushpull.core.faults.change import Spot
from pushpull.core.faults.network import cut_at
from pushpull.machines.agent.wire import checksum
from pushpull.machines.agent.zmtp_cut import Cut, Point, Stream, shortened
from pushpull.runs import store

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)
READY = b"\x04\x18\x05READY\x0bSocket-Type" + struct.pack(">I", 4) + b"PUSH"[:2]
PONG = b"\x04\x07\x04PONGhi"
LONG = b"\x02" + struct.pack(">Q", 300) + bytes(300)
TWO_FRAMES = b"\x01\x03key\x00\x05value"
SENT = GREETING + READY + b"\x00\x03one" + PONG + LONG + TWO_FRAMES + b"\x00\x04four"


def end_of(what: bytes) -> int:
    return SENT.index(what) + len(what)


POINTS = [
    ({"before": "READY"}, len(GREETING)),
    ({"before": "PONG"}, SENT.index(PONG)),
    ({"message": 1}, end_of(b"\x00\x03one")),
    ({"message": 2}, end_of(LONG)),
    ({"message": 3}, end_of(TWO_FRAMES)),
    ({"inside": 1}, SENT.index(b"\x00\x03one") + 2),
    ({"inside": 2}, SENT.index(LONG) + 154),
    ({"inside": 3}, SENT.index(TWO_FRAMES) + 5),
    ({"message": 5}, None),
    ({"before": "PING"}, None),
]


GREETING_OF_2 = b"\xff" + bytes(8) + b"\x7f\x01\x08"
IDENTITY = b"\x00\x02me"
SENT_2 = GREETING_OF_2 + IDENTITY + b"\x00\x03one" + LONG + TWO_FRAMES
BEFORE_ONE = len(GREETING_OF_2 + IDENTITY)


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("size", [1, 2, 5, 13, 100, 10_000])
@pytest.mark.parametrize(
    ("point", "where"),
    [
        ({"message": 1}, BEFORE_ONE + 5),
        ({"inside": 1}, BEFORE_ONE + 2),
        ({"message": 2}, BEFORE_ONE + 5 + len(LONG)),
        ({"inside": 3}, BEFORE_ONE + 5 + len(LONG) + 5),
        ({"before": "READY"}, len(GREETING_OF_2)),
        ({"before": "PONG"}, None),
    ],
)
def test_a_stream_of_version_2_is_cut_as_well(
    point: dict[str, object], where: int | None, size: int, version: int
) -> None:
    """JeroMQ speaks that; what is sent to it has the sender's own version, but goes on so."""
    sent = SENT_2[:10] + bytes([version]) + SENT_2[11:]
    stream, passed = Stream(Point(point)), 0
    for begin in range(0, len(sent), size):
        data = sent[begin : begin + size]
        passes = stream.feed(data)
        passed += len(data) if passes is None else passes
        if passes is not None:
            break
    late = size + 2 if "before" in point else 0  # the greeting is known once one byte has followed
    assert stream.is_zmtp
    if where is None:
        assert passed == len(sent)
    else:
        assert where <= passed <= where + late


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100, 10_000])
@pytest.mark.parametrize(("point", "where"), POINTS)
def test_a_stream_is_cut_at_its_point_however_it_is_divided(
    point: dict[str, object], where: int | None, size: int
) -> None:
    stream, passed = Stream(Point(point)), 0
    for begin in range(0, len(SENT), size):
        data = SENT[begin : begin + size]
        passes = stream.feed(data)
        passed += len(data) if passes is None else passes
        if passes is not None:
            break
    if where is not None and "before" in point:  # its name may be in a later piece than its flags
        assert where <= passed <= max(where, (where // size + 1) * size, where + 7)
        return
    assert passed == (len(SENT) if where is None else where)


def packet(payload: bytes, number: int, flags: int = 0x18, *, segment: int = 0) -> bytes:
    """Return a TCP packet as the wire takes it, whose checksum the kernel has still to make."""
    size = 40 + len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    tcp = struct.pack(">HHIIBBHHH", 5000, 1234, number % 2**32, 0, 0x50, flags, 100, 0, 0)
    offload = struct.pack("=BBHHHH", 1, bool(segment), 54, segment, 34, 16)
    return offload + bytes(12) + b"\x08\x00" + ip + tcp + payload


def ipv6(frame: bytes, extension: bytes = b"") -> bytes:
    """Return the same packet of IPv4 as one of IPv6, perhaps with a head between."""
    tcp, kind = frame[44:], b"\0" if extension else b"\x06"
    head = b"\x60\0\0\0" + struct.pack(">H", len(extension + tcp)) + kind + b"\x40"
    addresses = b"\xfd" + bytes(14) + b"\1" + b"\xfd" + bytes(14) + b"\2"
    offload = bytearray(frame[:10])
    struct.pack_into("=H", offload, 6, 54 + len(extension))
    return bytes(offload) + bytes(12) + b"\x86\xdd" + head + addresses + extension + tcp


def is_sound_ipv6(frame: bytes, extension: bytes = b"") -> bool:
    ip, tcp = frame[24:64], frame[64 + len(extension) :]
    partial = struct.unpack_from(">H", tcp, 16)[0]
    return (
        struct.unpack_from(">H", ip, 4)[0] == len(frame) - 64
        and partial == checksum(ip[8:] + struct.pack(">II", len(tcp), 6)) ^ 0xFFFF
    )


def is_sound(frame: bytes) -> bool:
    """Return whether lengths and checksums are right, once the kernel has added its part."""
    ip, tcp = frame[24:44], frame[44:]
    length = struct.pack(">HH", 6, len(tcp))
    partial = struct.unpack_from(">H", tcp, 16)[0]
    return (
        checksum(ip) in (0, 0xFFFF)
        and struct.unpack_from(">H", ip, 2)[0] == len(frame) - 24
        and partial == checksum(ip[12:] + length) ^ 0xFFFF
    )


def test_packets_are_cut_to_the_byte_and_what_comes_again_counts_once() -> None:
    begin = 2**32 - 100  # so that the numbers of TCP begin anew
    cut = Cut({"inside": 3}, checksum)
    assert len(cut.carry(packet(b"", begin - 1, 2), 1.0)) == 1
    passed = b""
    for at in (0, 0, 150, 100, 250):  # twice, and overlapping
        frames = cut.carry(packet(SENT[at : at + 150], begin + at), 1.0)
        assert len(frames) == 1
        passed = passed[:at] + frames[0][1][64:]
    (_, last), *none = cut.carry(packet(SENT[400:], begin + 400, 0x19, segment=1448), 2.0)
    assert none == []
    assert is_sound(last)
    assert last[57] == 0x18  # the end of the connection is behind the cut
    assert (passed + last[64:]) == SENT[: SENT.index(TWO_FRAMES) + 5]
    assert cut.carry(packet(SENT[400:], begin + 400), 3.0) == []
    assert cut.carry(packet(b"", begin, 0x10), 3.0) == []
    assert cut.count == {"seen": 9, "lost": 2, "struck": 1, "messages": 3, "unread": 0}


@pytest.mark.parametrize("extension", [b"", b"\x06\0" + bytes(6), b"\x3c\0" + bytes(6) + b"\x06\1"
                                       + bytes(14)])  # fmt: skip
def test_packets_of_ipv6_are_cut_to_the_byte(extension: bytes) -> None:
    cut = Cut({"inside": 3}, checksum)
    cut.carry(ipv6(packet(b"", 999, 2), extension), 1.0)
    assert len(cut.carry(ipv6(packet(SENT[:400], 1000), extension), 1.0)) == 1
    ((_, last),) = cut.carry(ipv6(packet(SENT[400:], 1400, 0x19), extension), 2.0)
    assert is_sound_ipv6(last, extension)
    payload = last[84 + len(extension) :]
    assert SENT[:400] + payload == SENT[: SENT.index(TWO_FRAMES) + 5]
    assert cut.carry(ipv6(packet(SENT[400:], 1400), extension), 3.0) == []
    neighbour = bytes(24) + b"\x60\0\0\0\0\x18\x3a\xff" + bytes(56)
    assert Cut({"message": 1}, checksum).carry(neighbour, 1.0) == [(1.0, neighbour)]


def test_connections_that_are_not_understood_pass_and_are_counted() -> None:
    cut = Cut({"message": 1}, checksum)
    assert len(cut.carry(packet(SENT, 1000), 1.0)) == 1  # its beginning was not seen
    cut.carry(packet(b"", 2000, 2), 1.0)
    assert len(cut.carry(packet(b"GET / HTTP/1.1\r\n\r\n", 2001), 1.0)) == 1
    cut.carry(packet(b"", 3000, 2), 1.0)
    of_version_1 = b"\xff" + bytes(8) + b"\x7f" + b"\x04\x00one" * 20
    assert len(cut.carry(packet(of_version_1, 3001), 1.0)) == 1
    assert cut.count["unread"] == 3
    assert cut.count["struck"] == 0


def test_a_large_segment_stays_one_for_the_kernel_to_divide() -> None:
    frame = shortened(packet(bytes(5000), 0, segment=1448), 3000, checksum)
    assert is_sound(frame)
    assert frame[1] == 1
    assert struct.unpack_from("=H", frame, 4)[0] == 1448


@pytest.mark.parametrize("points", [{}, {"message": 1, "inside": 2}, {"message": -1}])
def test_just_one_point_is_to_be_given(points: dict[str, int]) -> None:
    with pytest.raises(LabError, match="isn't one point"):
        cut_at(Spot(lambda: "eth0"), **points)


EXPERIMENT = """
from pushpull.api import Verdict, claim, experiment

POINTS = ({"before": "READY"}, {"message": 7}, {"inside": 7})


@experiment(source="a test", faults=("cut_at",), count=12, interval=0.01, takes=10)
def cut(lab):
    "One connection after another is cut at a point of the protocol."
    for point in POINTS:
        lab.cut_at("push", **point)
        puller = lab.start("pull", on="pull-1", to="push")
        pusher = lab.start("push", on="push", **lab.plan)
        if "before" not in point:
            lab.more(puller, lines=7 if "message" in point else 6)
            lab.first(pusher, prints=lambda line: line == "11")
        lab.let_pass(1.5 if "before" in point else 0.3)
        lab.kill(puller)
        lab.kill(pusher)
        lab.heal()


@claim("It comes to its end.")
def ends(run):
    return Verdict.holds("It did.")
"""


@pytest.mark.slow
@pytest.mark.parametrize("implementation", ["pyzmq", "plain_python"])
def test_a_cut_whatever_stands_at_the_ends(tmp_path: Path, implementation: str) -> None:
    (tmp_path / "experiment.py").write_text(EXPERIMENT)
    flags = ("--experiment", tmp_path / "experiment.py", "--runs", tmp_path / "runs")
    flags += ("--provider", "namespaces", "--implementation", implementation)
    done = fab("run-experiment", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    run = store.load(only_run(tmp_path / "runs"))
    lives = ("pull", "pull.2", "pull.3")
    came = [
        [r for r in run.records if r.process == life and r.stream == "stdout"] for life in lives
    ]
    assert [len(lines) for lines in came] == [0, 7, 6]
    heals = [e.details["counted"] for e in run.events if e.event == "repair"]
    assert [(c["struck"], c["messages"]) for c in heals] == [(1, 0), (1, 7), (1, 7)]
    assert "push had its network cut at a point of the protocol: inside message 7" in done.stdout
