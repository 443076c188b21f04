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


class _End(asyncio.Protocol):
    """One of two sockets that are joined. What it receives goes out at the `other`.

    That may not be there yet, and Python 3.11.2 reads from a transport that is paused when made.
    """

    other: "_End"

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.ended = self._lost = False
        self._early: list[bytes] = []  # what came before the other one was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.other.transport is not None:
            self.other.catch_up(transport)

    def catch_up(self, to: asyncio.Transport) -> None:
        """Do what could not be done before the other one was there."""
        for data in self._early:
            to.write(data)
        self._early.clear()
        if self.ended:
            to.write_eof()
        if self._lost:
            to.close()

    def data_received(self, data: bytes) -> None:
        if self.other.transport is None:
            self._early.append(data)
        else:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        if self.other.transport is not None:
            self.other.transport.write_eof()
        if self.other.ended and self.transport is not None:
            self.transport.close()
        return True  # the other direction goes on

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        if self.other.transport is not None:
            self.other.transport.close()  # after what is left to send

    def pause_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other.transport is not None:
            self.other.transport.resume_reading()
