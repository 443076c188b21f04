"""The relay between a client of a machine and its SSH server: bytes both ways, and their ends."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from threading import Thread
from typing import cast

import pytest

from pushpull.machines.providers.embedded import relay

LONG = os.urandom(1 << 22)  # more than both sockets' buffers hold


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client of a machine and the machine's end, with a relay in between."""
    listener = socket.create_server(("127.0.0.1", 0))
    line, far_line = socket.socketpair(type=socket.SOCK_DGRAM)
    until, end = os.pipe()
    thread = Thread(target=relay.carry, args=[{listener: line}], kwargs={"until": until})
    thread.start()
    client = socket.create_connection(listener.getsockname())
    machine = relay.received(far_line)
    assert machine is not None
    client.settimeout(30)
    machine.settimeout(30)
    with listener, line, far_line, client, machine:
        yield client, machine
        os.close(end)
        thread.join()
        os.close(until)


def read_all(source: socket.socket) -> bytes:
    return b"".join(iter(lambda: source.recv(1 << 16), b""))


@pytest.mark.parametrize("way", [1, -1])
def test_what_is_slow_to_read_arrives_whole(
    ends: tuple[socket.socket, socket.socket], way: int
) -> None:
    sender, receiver = ends[::way]

    def send() -> None:
        sender.sendall(LONG)
        sender.shutdown(socket.SHUT_WR)

    thread = Thread(target=send)
    thread.start()
    assert read_all(receiver) == LONG
    thread.join()


def test_one_direction_ends_and_the_other_goes_on(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, machine = ends
    client.shutdown(socket.SHUT_WR)
    assert machine.recv(1) == b""
    machine.sendall(b"still here")
    machine.close()
    assert read_all(client) == b"still here"


@pytest.mark.parametrize("way", [1, -1])
def test_an_end_that_breaks_takes_the_other_with_it(
    ends: tuple[socket.socket, socket.socket], way: int
) -> None:
    broken, other = ends[::way]
    broken.sendall(b"last words")
    assert other.recv(100) == b"last words"
    broken.close()
    assert other.recv(1) == b""
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        other.sendall(LONG)  # more than would fit into buffers


def test_no_small_packet_waits(ends: tuple[socket.socket, socket.socket]) -> None:
    """Nagle's algorithm would hold some answers back for 40 ms."""
    client, machine = ends
    machine.sendall(b"it is connected")
    client.recv(100)
    with _accepted(client) as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _accepted(client: socket.socket) -> socket.socket:
    """Return the other end of a connection, which is in this process too."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                found = socket.socket(fileno=os.dup(descriptor))
                if _ends(found) == _ends(client)[::-1]:
                    return found
                found.close()
    raise AssertionError("the relay has no connection")


def _ends(connection: socket.socket) -> list[object]:
    peer = None
    with contextlib.suppress(OSError):  # it isn't connected
        peer = connection.getpeername()
    return [connection.getsockname(), peer]


class Written:
    """A transport that notes what it is told to do."""

    def __init__(self) -> None:
        self.did: list[object] = []

    def write(self, data: bytes) -> None:
        self.did.append(data)

    def write_eof(self) -> None:
        self.did.append("end")

    def close(self) -> None:
        self.did.append("close")


def test_what_comes_before_the_other_end_is_there_is_sent_when_it_is() -> None:
    one, other = relay._End(), relay._End()
    one.other, other.other = other, one
    there = Written()
    one.transport = cast(asyncio.Transport, Written())
    for data in (b"first", b"second"):
        one.data_received(data)
    one.eof_received()
    one.connection_lost(None)
    one.catch_up(cast(asyncio.Transport, there))
    assert there.did == [b"first", b"second", "end", "close"]
