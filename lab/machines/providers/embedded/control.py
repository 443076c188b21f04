"""The control connections of a lab: JSON, one object per line.

Two kinds of peers talk to a lab's init process:

- The *starter* has a connection that the supervisor inherited. It gets the lab's description,
  including the client key. The lab ends when the starter disconnects, unless it asked to `keep` it.
- Other peers connect to a socket in the lab's folder (`fab up`). Such a peer first proves that it
  isn't inside a machine: it sends a descriptor of its PID namespace, which must be the
  supervisor's. A program on a machine has another one, and can't get the supervisor's, whichever
  files it can see. (On loopback, machines share the user's PID namespace: nothing separates them
  from the user.) The peer must also run as the lab's owner. It gets the description without the
  key; that is in the lab's folder, readable only by its owner.

Only `down` ends the lab, or the removal of that socket's file, as with the whole clone: nobody
could find the lab any more. No peer can block it: an invalid or overlong request costs the peer its
connection, and unread answers wait in memory. When a peer that injected faults disconnects, the lab
does `repair` by itself, because a killed peer could not.
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

SOCKET = "control"  # its name in the lab's folder
_NAMESPACE = "/proc/self/ns/pid"
_LONGEST_REQUEST = 65_536
_MOST_UNREAD = 16 * 1024 * 1024  # of answers; the description of 1,000 machines has 0.3 MB
_MOST_PEERS = 64


class Control:
    """The lab's side."""

    def __init__(
        self, starter: socket.socket, listener: int | None = None, removals: int | None = None
    ) -> None:
        self._starter = _Peer(starter)
        self._starter.welcome = True
        self._listener = None if listener is None else socket.socket(fileno=listener)
        self._removals = removals
        self._namespace = _identity(_NAMESPACE)
        self._selector: selectors.BaseSelector
        self._description: dict[str, Any] = {}
        self._obey: Obey
        self._ended = False

    def forget(self) -> None:
        """Close the connections here; the forked init process serves them."""
        self._starter.socket.close()
        if self._listener is not None:
            self._listener.close()

    def refuse(self, error: OSError) -> None:
        """Report that there will be no lab: the step that failed, and its errno."""
        self._starter.say(_refusal(error))
        self.forget()

    def serve(
        self, description: dict[str, Any], client_key: str, obey: Obey, owner: int | None
    ) -> None:
        """Answer requests until the end of the lab.

        Arguments:
            description: what every peer may know about the lab.
            client_key: given only to the starter.
            obey: carries out a request; raises OSError or LookupError if it can't.
            owner: a descriptor that becomes readable when the lab must end, if there is one.
        """
        self._description, self._obey = description, obey
        with selectors.DefaultSelector() as self._selector:
            for source in (self._listener, self._removals, owner):
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
                    elif key.fileobj != self._removals or self._is_unreachable(key.fd):
                        self._ended = True

    def _is_unreachable(self, removals: int) -> bool:
        """Return whether the socket's file is among those that were removed from its folder."""
        return b"%s\0" % SOCKET.encode() in os.read(removals, 65_536)

    def _admit(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the peer has disconnected again
            connected = listener.accept()[0]
            self._selector.register(connected, selectors.EVENT_READ, _Peer(connected))
        peers = [key.data for key in self._selector.get_map().values() if key.data is not None]
        if len(peers) > _MOST_PEERS:  # idle strangers must not lock the owner out
            self._drop(min(peers, key=lambda peer: peer.welcome))

    def _attend(self, peer: "_Peer", message: dict[str, Any] | None = None) -> None:
        """Send a peer a message, answer its requests, and drop it if it has disconnected."""
        if message is not None:
            peer.say(message)
        for line in peer.lines():
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
            peer.dismiss("this is not a request")
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
            peer.dismiss("this lab accepts no requests from other process namespaces")
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
            return {"refused": "this lab knows no such request or machine", "errno": 0}


class _Peer:
    """One connection, with the beginning of its next line and the answers it hasn't read yet."""

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
        """Send as much of a message as the peer accepts now; `flush` sends the rest."""
        self.unread += _line(message)
        self.flush()
        if len(self.unread) > _MOST_UNREAD:
            self.left = True

    def dismiss(self, reason: str) -> None:
        """Send the reason, and treat the peer as disconnected."""
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

    def lines(self) -> Iterator[bytes]:
        """Yield complete lines; note whether the peer has disconnected, or its line is too long."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 1)
        except BlockingIOError:
            return
        except OSError:  # it disconnected without reading
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
    """The user's side. After `down`, or after the end of the lab, answers are empty objects."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._lines = connected.makefile("rb")

    def greet(self) -> dict[str, Any]:
        """Prove our PID namespace; return the lab's description, or `refused` with a reason."""
        with contextlib.ExitStack() as stack:
            proof = []
            with contextlib.suppress(FileNotFoundError):  # a kernel without PID namespaces
                proof = [stack.enter_context(Path(_NAMESPACE).open("rb")).fileno()]
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(self._socket, [_line(_asking("greet"))], proof)
        return self.hear()

    def hear(self) -> dict[str, Any]:
        """Return the lab's next message."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = b""
        answer: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        return answer

    def ask(self, request: str, machine: str = "") -> dict[str, Any]:
        """Request `status`, `keep`, `down` or a fault; return the answer."""
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
    """Return the request in a line; None if it isn't one."""
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
    """Return the identity of a namespace; None if the kernel has none of this kind."""
    try:
        found = os.stat(namespace)  # noqa: PTH116  # also of a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino
