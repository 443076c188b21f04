"""The control connection between a supervisor and whoever uses its lab: JSON, one object a line.

Whoever connects is told what the lab is (its machines, how each is reached, the client key), and
may then ask for one thing after another. The socket is either one connection, inherited by the
supervisor, whose end is the end of the lab; or a listening one on a path that only the user can
open (`fab up`), where anybody of theirs comes and goes and the lab stays until it's told `down`.
"""

import contextlib
import json
import os
import selectors
import socket
from typing import Any


class Control:
    """The supervisor's side."""

    def __init__(self, inherited: socket.socket) -> None:
        self._socket = inherited
        self._listening = bool(inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def forget(self) -> None:
        """Leave the connection to the process that was forked to serve it."""
        self._socket.close()

    def refuse(self, error: OSError) -> None:
        """Tell that there will be no lab, and why: the step that failed and its errno."""
        peer = self._socket.accept()[0] if self._listening else self._socket
        _tell(peer, {"refused": error.strerror or str(error), "errno": error.errno})
        self.forget()

    def serve(self, description: dict[str, Any], guests: dict[str, int]) -> None:
        """Answer until the end of the lab. `guests` are the machines' processes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            if not self._listening:
                _tell(self._socket, description)
            while True:
                for key, _ in selector.select():
                    peer = key.fileobj
                    assert isinstance(peer, socket.socket)
                    if self._listening and peer is self._socket:
                        client = peer.accept()[0]
                        _tell(client, description)
                        selector.register(client, selectors.EVENT_READ)
                    elif not (request := _heard(peer)) and peer is not self._socket:
                        selector.unregister(peer)
                        peer.close()
                    elif not request or json.loads(request)["do"] == "down":
                        return
                    else:
                        _tell(peer, {"machines": _states(guests)})


class Client:
    """The user's side."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._lines = connected.makefile("rb")

    def hear(self) -> dict[str, Any]:
        """Return what the lab says next; an empty object when it says nothing more."""
        line = self._lines.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer

    def ask(self, request: str) -> dict[str, Any]:
        """Ask for `status` or `down`; return the answer, which for `down` is the lab's end."""
        _say(self._socket, {"do": request})
        return self.hear()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


def _say(peer: socket.socket, message: dict[str, Any]) -> None:
    peer.sendall(json.dumps(message).encode() + b"\n")


def _heard(peer: socket.socket) -> bytes:
    """Return what a peer asks; nothing where it is gone, also where it left without listening."""
    try:
        return peer.recv(4096)
    except ConnectionResetError:
        return b""


def _tell(peer: socket.socket, message: dict[str, Any]) -> None:
    """Say it to a peer that may be gone already: that ends no lab."""
    with contextlib.suppress(OSError):
        _say(peer, message)


def _states(guests: dict[str, int]) -> dict[str, str]:
    gone = set()
    while (ended := _reap()) > 0:
        gone.add(ended)
    for name, pid in list(guests.items()):
        if pid in gone:
            guests[name] = 0
    return {name: "running" if pid else "gone" for name, pid in guests.items()}


def _reap() -> int:
    try:
        return os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        return 0
