"""ZMTP 3.0 with the mechanism NULL, as far as PUSH and PULL need it: https://rfc.zeromq.org/spec/23

One thread: `wait` takes what came on all connections and does what is due, `send` waits for room.
"""

import json
import os
import platform
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_MORE, _LONG, _COMMAND = 1, 2, 4
_LARGEST = 1 << 30
_RETRY_S = 0.1


def frame(body: bytes, flags: int = 0) -> bytes:
    """Return a frame as it goes over the wire."""
    if len(body) < 256:
        return struct.pack(">BB", flags, len(body)) + body
    return struct.pack(">BQ", flags | _LONG, len(body)) + body


def ready(kind: bytes) -> bytes:
    """Return the command READY of a socket of this kind."""
    return frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind, _COMMAND)


class Peer:
    """A connection; `is_up` once both ends have greeted each other."""

    def __init__(self, wire: socket.socket, kind: bytes, place: str = "") -> None:
        self.wire, self.place, self.is_up = wire, place, False
        self._expected = b"PULL" if kind == b"PUSH" else b"PUSH"
        self._came, self.unsent = b"", GREETING + ready(kind)
        self._is_greeted = False

    def flush(self) -> None:
        """Write what the kernel takes of it now; OSError where the connection is gone."""
        while self.unsent:
            try:
                self.unsent = self.unsent[self.wire.send(self.unsent) :]
            except BlockingIOError:
                return

    def take(self) -> "list[bytes]":
        """Return the messages that came; OSError at the end of the connection, or of reason."""
        data = self.wire.recv(65536)
        if not data:
            raise ConnectionResetError("the peer has closed the connection")
        self._came += data
        messages = []
        while (part := self._next()) is not None:
            flags, body = part
            if not flags & _COMMAND:
                messages.append(body)
            elif body.startswith(b"\x05READY"):
                if b"Socket-Type" + struct.pack(">I", 4) + self._expected not in body:
                    raise ConnectionError("the peer is of another type")
                self.is_up = True
            elif body.startswith(b"\x04PING"):
                self.unsent += frame(b"\x04PONG" + body[7:], _COMMAND)
        return messages

    def _next(self) -> "tuple[int, bytes] | None":
        if not self._is_greeted:
            if len(self._came) < len(GREETING):
                return None
            head, self._came = self._came[:64], self._came[64:]
            if head[0] != 0xFF or head[9] != 0x7F or head[10] < 3 or head[12:16] != b"NULL":
                raise ConnectionError("the peer doesn't speak ZMTP 3 with the mechanism NULL")
            self._is_greeted = True
        start = 9 if self._came and self._came[0] & _LONG else 2
        if len(self._came) < start:
            return None
        size = int.from_bytes(self._came[1:start], "big")
        if size > _LARGEST:
            raise ConnectionError("a frame of more than a gigabyte")
        if len(self._came) < start + size:
            return None
        flags, body = self._came[0], self._came[start : start + size]
        self._came = self._came[start + size :]
        return flags, body


class Endpoint:
    """A socket of ZeroMQ's kind: all its connections, and a trace of what happens to them."""

    def __init__(self, kind: bytes, *, tracing: bool) -> None:
        self.kind, self.tracing, self.inbox = kind, tracing, deque[bytes]()
        self._ahead = time.time() - time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._peers: list[Peer] = []
        self._due: dict[str, float] = {}  # where to connect again, and when

    def trace(self, event: str, **details: object) -> None:
        """Report an event on stderr: one write, so that lines stay whole."""
        if self.tracing:
            m = time.monotonic()
            line = json.dumps({"t": self._ahead + m, "m": m, "event": event, **details})
            os.write(2, f"{line}\n".encode())

    def started(self) -> None:
        """Report that it listens or connects."""
        self.trace("ready", zmtp="3.0", python=platform.python_version())

    def bind(self, address: str) -> None:
        host, port = _place(address)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        place = host if host != "*" else "", port
        listener = socket.create_server(place, family=family, backlog=100)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)

    def connect(self, address: str) -> None:
        _place(address)
        self._due[address] = time.monotonic()

    def wait(self, until: float, done: "Callable[[], bool]" = lambda: False) -> None:
        """Take what comes until `done`, or a monotonic time; at least what is there already."""
        if done():
            return
        while True:
            now = time.monotonic()
            for address in [a for a, at in self._due.items() if at <= now]:
                self._connect(address)
            pause = min([until, *self._due.values()]) - now
            for key, _ in self._selector.select(None if pause == float("inf") else max(0, pause)):
                self._serve(key.data, key.fileobj)
            if done() or time.monotonic() >= until:
                return

    def send(self, body: bytes) -> None:
        """Give a message to the next peer in turn that has room; wait until there is one."""
        self.wait(time.monotonic())
        while True:
            self.wait(float("inf"), lambda: any(map(_has_room, self._peers)))
            peer = next(p for p in self._peers if _has_room(p))
            self._peers.remove(peer)
            self._peers.append(peer)
            peer.unsent = frame(body)
            if self._flush(peer):
                return

    def drain(self) -> None:
        """Wait until the kernel has all that was sent."""
        self.wait(float("inf"), lambda: not any(p.unsent for p in self._peers))

    def _serve(self, peer: "Peer | None", wire: object) -> None:
        if peer is None:
            accepted, _ = wire.accept()  # type: ignore[attr-defined]
            self.trace("accepted")
            self._add(Peer(accepted, self.kind))
            return
        was_up = peer.is_up
        try:
            self.inbox += peer.take()
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        if self._flush(peer) and peer.is_up and not was_up:
            self.trace("connected")

    def _connect(self, address: str) -> None:
        try:
            wire = socket.create_connection(_place(address), timeout=1)
        except OSError:
            self._due[address] = time.monotonic() + _RETRY_S
            return
        del self._due[address]
        self._add(Peer(wire, self.kind, address))

    def _add(self, peer: Peer) -> None:
        peer.wire.setblocking(False)
        peer.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(peer.wire, selectors.EVENT_READ, peer)
        self._peers.append(peer)
        self._flush(peer)

    def _flush(self, peer: Peer) -> bool:
        """Write what can be written, and the rest when there is room; return whether it lives."""
        try:
            peer.flush()
        except OSError:
            self._drop(peer)
            return False
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
        self._selector.modify(peer.wire, events, peer)
        return True

    def _drop(self, peer: Peer) -> None:
        self._selector.unregister(peer.wire)
        peer.wire.close()
        self._peers.remove(peer)
        if peer.is_up:
            self.trace("disconnected")
        if peer.place:
            self._due[peer.place] = time.monotonic() + _RETRY_S


def _has_room(peer: Peer) -> bool:
    return peer.is_up and not peer.unsent


def _place(address: str) -> "tuple[str, int]":
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)
