"""Relays SSH connections from 127.0.0.1 to the machines, byte by byte.

A socket always belongs to the network namespace in which it was created. So a machine's server gets
no socket of this computer's network, neither a listening nor an accepted one: an attacker who took
over the server would reach the computer's network through it. For each connection it gets one end
of a socket pair instead.
"""

import asyncio
import errno
import socket
from collections.abc import Mapping

_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.1


def carry(lines: Mapping[socket.socket, socket.socket], *, until: int) -> None:
    """Accept on each listening socket, and send one end of a pair over the socket next to it.

    Returns when the process behind the descriptor `until` (a pidfd) ends.
    """
    asyncio.run(_carry(lines, until))


def received(line: socket.socket) -> socket.socket | None:
    """Return the next connection from the non-blocking socket `line`; None if there is none yet."""
    try:
        _, descriptors, _, _ = socket.recv_fds(line, 1, 1)
    except BlockingIOError:
        return None
    return socket.socket(fileno=descriptors[0]) if descriptors else None


async def _carry(lines: Mapping[socket.socket, socket.socket], until: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(until, ended.set)
    accepting = [asyncio.create_task(_accept(listener, line)) for listener, line in lines.items()]
    await ended.wait()
    for task in accepting:
        task.cancel()


async def _accept(listener: socket.socket, line: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    listener.setblocking(False)
    line.setblocking(False)
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno in _FULL:  # wait until another connection ends
                await asyncio.sleep(_PAUSE_S)
            continue
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            near = _handed_over(line)
        except OSError:
            client.close()
        else:
            await _join(client, near)


def _handed_over(line: socket.socket) -> socket.socket:
    """Send one end of a new pair over a socket, and return the other."""
    near, far = socket.socketpair()
    with far:
        try:
            # A machine that is off accepts nothing: connections beyond its queue are refused.
            socket.send_fds(line, [b"!"], [far.fileno()])
        except OSError:
            near.close()
            raise
    return near


async def _join(client: socket.socket, near: socket.socket) -> None:
    """Forward bytes between two sockets until both have ended, or one has broken."""
    one, other = _End(), _End()
    one.other, other.other = other, one
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(lambda: one, client)
    await loop.connect_accepted_socket(lambda: other, near)
    one.transport.resume_reading()
    other.transport.resume_reading()


class _End(asyncio.Protocol):
    """One of two sockets that are joined. What it receives goes out at the `other`."""

    other: "_End"
    transport: asyncio.Transport

    def __init__(self) -> None:
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()  # until the other one is there

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        self.other.transport.write_eof()
        if self.other.ended:
            self.transport.close()
        return True  # the other direction goes on

    def connection_lost(self, _: Exception | None) -> None:
        self.other.transport.close()  # after what is left to send

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()
