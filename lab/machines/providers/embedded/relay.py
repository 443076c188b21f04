"""Relays SSH connections from 127.0.0.1 to the machines, byte by byte.

A socket always belongs to the network namespace in which it was created. So a machine's server gets
no socket of this computer's network, neither a listening nor an accepted one: an attacker who took
over the server would reach the computer's network through it. For each connection it gets one end
of a socket pair instead.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Mapping

_CHUNK = 1 << 18
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
    connections = set()
    while True:
        try:
            client, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno in _FULL:  # wait until another connection ends
                await asyncio.sleep(_PAUSE_S)
            continue
        connection = asyncio.create_task(_connect(client, line))
        connections.add(connection)
        connection.add_done_callback(connections.discard)


async def _connect(client: socket.socket, line: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near, far = socket.socketpair()
        with near:
            with far:
                # A machine that is off accepts nothing: connections beyond its queue are refused.
                socket.send_fds(line, [b"!"], [far.fileno()])
            near.setblocking(False)
            await asyncio.gather(_forward(client, near), _forward(near, client))


async def _forward(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    try:
        while data := await loop.sock_recv(source, _CHUNK):
            await loop.sock_sendall(sink, data)
    except OSError:
        # The connection broke, so the other direction must not wait either.
        with contextlib.suppress(OSError):
            source.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
