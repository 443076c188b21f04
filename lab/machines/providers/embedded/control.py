"""The control connections of a lab: JSON, one object a line.

Two kinds of peers talk to a lab's first process:

- The *starter* holds a connection that the supervisor inherited. It gets the lab's description,
  the client key included. The lab ends when the starter leaves, unless it asked to `keep` it.
- The others connect to a socket in the lab's folder (`fab up`). Such a peer first proves that it
  isn't inside a machine: it passes a descriptor of its PID namespace, which must be the
  supervisor's. A machine's program has another and can't get that one, whatever file it can see.
  (On loopback, machines share the user's PID namespace: nothing keeps them apart from the user.)
  The peer must also run as the lab's owner. It gets the description without the key, which lies in
  the lab's folder, readable for its owner alone.

No peer can end or block the lab but by `down`: what isn't a request, or too long, costs the peer
its own connection, and answers wait in memory until they are read. When a peer leaves that asked
for faults, the lab is told to `repair` what may still be broken: a killed peer could not.
"""

import contextlib
import json
import os
import selectors
import socket
import struct
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Obey = Callable[[dict[str, Any]], dict[str, Any]]

_NAMESPACE = "/proc/self/ns/pid"
_LONGEST_REQUEST = 65_536
_MOST_UNREAD = 16 * 1024 * 1024  # of answers; the description of 1,000 machines has 0.3 MB
_MOST_PEERS = 64


class Control:
    """The lab's side."""

    def __init__(self, starter: socket.socket, listener: socket.socket | None) -> None:
        self._starter = _Peer(starter)
        self._starter.welcome = True
        self._listener = listener
        self._namespace = _identity(_NAMESPACE)
        self._selector: selectors.BaseSelector
        self._description: dict[str, Any] = {}
        self._obey: Obey
        self._ended = False

    def forget(self) -> None:
        """Leave the connections to the process that was forked to serve them."""
        self._starter.socket.close()
        if self._listener is not None:
            self._listener.close()

    def refuse(self, error: OSError) -> None:
        """Say that there will be no lab, and why: the step that failed and its errno."""
        self._starter.say(_refusal(error))
        self.forget()

    def serve(
        self, description: dict[str, Any], client_key: str, obey: Obey, owner: int | None
    ) -> None:
        """Answer until the end of the lab.

        Arguments:
            description: what each peer may know of the lab.
            client_key: what the starter gets with it.
            obey: does what a request asks for; raises OSError or LookupError where it can't.
            owner: a descriptor that turns readable when the lab must end, if there is one.
        """
        self._description, self._obey = description, obey
        with selectors.DefaultSelector() as self._selector:
            for source in (self._listener, owner):
                if source is not None:
                    self._selector.register(source, selectors.EVENT_READ)
            self._selector.register(self._starter.socket, selectors.EVENT_READ, self._starter)
            self._attend(self._starter, {**description, "client_key": client_key})
            while not self._ended:
                for key, _ in self._selector.select():
                    if key.data is not None:
                        self._attend(key.data)
                    elif key.fileobj is self._listener:
                        self._admit(self._listener)
                    else:
                        self._ended = True

    def _admit(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a peer that has left again
            connected = listener.accept()[0]
            self._selector.register(connected, selectors.EVENT_READ, _Peer(connected))
        peers = [key.data for key in self._selector.get_map().values() if key.data is not None]
        if len(peers) > _MOST_PEERS:  # idle strangers must not lock the owner out
            self._drop(min(peers, key=lambda peer: peer.welcome))

    def _attend(self, peer: "_Peer", message: dict[str, Any] | None = None) -> None:
        """Say a message to a peer, read what it asks, answer, and see whether it has left."""
        if message is not None:
            peer.say(message)
        for line in peer.heard():
            self._answer(peer, line)
            if self._ended:
                return
        peer.flush()
        if not peer.left:
            writes = selectors.EVENT_WRITE if peer.unread else 0
            self._selector.modify(peer.socket, selectors.EVENT_READ | writes, peer)
        else:
            self._drop(peer)

    def _drop(self, peer: "_Peer") -> None:
        self._selector.unregister(peer.socket)
        peer.socket.close()
        if peer.asked_for_faults:
            self._done({"do": "repair", "machine": ""})
        if peer is self._starter and not peer.kept:
            self._ended = True

    def _answer(self, peer: "_Peer", line: bytes) -> None:
        request = _request(line)
        if request is None:
            peer.dismiss("that is no request")
        elif not peer.welcome:
            self._welcome(peer)
        elif request["do"] == "down":
            self._ended = True
        elif request["do"] == "keep" and peer is self._starter and self._listener is not None:
            peer.kept = True
            peer.say({})
        else:
            peer.asked_for_faults |= bool(request["machine"])
            peer.say(self._done(request))

    def _welcome(self, peer: "_Peer") -> None:
        if _user_of(peer.socket) != os.geteuid():
            peer.dismiss("this lab belongs to another user")
        elif self._namespace is not None and peer.namespace != self._namespace:
            peer.dismiss("this lab takes no requests from other process namespaces")
        else:
            peer.welcome = True
            peer.say(self._description)

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._obey(request)
        except OSError as error:
            return _refusal(error)
        except LookupError:
            traceback.print_exc()  # into the lab's log
            return {"refused": "this lab has no such request or machine", "errno": 0}


class _Peer:
    """One connection: what it has said of a line so far, and what it hasn't read yet."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self.socket = connected
        self.unread = bytearray()
        self.welcome = False
        self.kept = False
        self.asked_for_faults = False
        self.left = False
        self.namespace: tuple[int, int] | None = None
        self._begun = b""

    def say(self, message: dict[str, Any]) -> None:
        """Send a message as far as the peer takes it now; `flush` sends the rest."""
        self.unread += _line(message)
        self.flush()
        if len(self.unread) > _MOST_UNREAD:
            self.left = True

    def dismiss(self, reason: str) -> None:
        """Say why, and take it as gone."""
        self.say({"refused": reason, "errno": 0})
        self.left = True

    def flush(self) -> None:
        try:
            while self.unread and not self.left:
                del self.unread[: self.socket.send(self.unread)]
        except BlockingIOError:
            return
        except OSError:
            self.left = True

    def heard(self) -> Iterator[bytes]:
        """Give the whole lines that have come; note when the peer has left or says too much."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 1)
        except BlockingIOError:
            return
        except OSError:  # it left without listening
            self.left = True
            return
        for descriptor in descriptors:
            self.namespace = _identity(descriptor)
            os.close(descriptor)
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            if not self.left:
                yield line
        self.left = self.left or not data or len(self._begun) > _LONGEST_REQUEST


class Client:
    """The user's side. After `down`, or when the lab ends, answers are empty objects."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._lines = connected.makefile("rb")

    def greet(self) -> dict[str, Any]:
        """Prove where we are; return the lab's description, or `refused` with a reason."""
        with contextlib.ExitStack() as stack:
            proof = []
            with contextlib.suppress(FileNotFoundError):  # a kernel without PID namespaces
                proof = [stack.enter_context(Path(_NAMESPACE).open("rb")).fileno()]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._socket, [_line(_asking("greet"))], proof)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Return what the lab says next."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = b""
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        return answer

    def ask(self, request: str, machine: str = "") -> dict[str, Any]:
        """Ask for `status`, `keep`, `down` or a fault; return the answer."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(_line(_asking(request, machine)))
        return self.hear()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _asking(request: str, machine: str = "") -> dict[str, Any]:
    return {"do": request, "machine": machine}


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _request(line: bytes) -> dict[str, Any] | None:
    """Return what a line asks for; None if it isn't a request."""
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict):
        return None
    what, machine = asked.get("do"), asked.get("machine", "")
    return _asking(what, machine) if isinstance(what, str) and isinstance(machine, str) else None


def _refusal(error: OSError) -> dict[str, Any]:
    return {"refused": error.strerror or str(error), "errno": error.errno}


def _user_of(connected: socket.socket) -> int:
    """Return a peer's user id, in our user namespace."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    user: int = struct.unpack("iII", credentials)[1]
    return user


def _identity(namespace: str | int) -> tuple[int, int] | None:
    """Return what tells a namespace from all others; None where the kernel has none."""
    try:
        found = os.stat(namespace)  # noqa: PTH116  # also of a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino
