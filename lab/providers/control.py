"""The control connection between a supervisor and whoever uses its lab: JSON, one object a line.

Whoever connects is told what the lab is (its machines, how each is reached, the client key), and
may then ask for one thing after another. The socket is either one connection, inherited by the
supervisor, whose end is the end of the lab; or a listening one on a path that only the user can
open (`fab up`), where anybody of theirs comes and goes and the lab stays until it's told `down`.
When somebody leaves who asked for faults, the lab is told to `repair` what may still be broken: who
was killed could not.
"""

import contextlib
import json
import selectors
import socket
from collections.abc import Callable
from typing import Any

Obey = Callable[[dict[str, Any]], dict[str, Any]]


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

    def serve(self, description: dict[str, Any], obey: Obey) -> None:
        """Answer until the end of the lab; `obey` does what a request asks for."""
        strikers: set[socket.socket] = set()
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
                        if peer in strikers:
                            strikers.remove(peer)
                            _answer(obey, {"do": "repair", "machine": ""})
                    elif not request or json.loads(request)["do"] == "down":
                        return
                    else:
                        asked = json.loads(request)
                        if asked["machine"]:
                            strikers.add(peer)
                        _tell(peer, _answer(obey, asked))


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

    def ask(self, request: str, machine: str = "") -> dict[str, Any]:
        """Ask for `status`, `down` or a fault; return the answer, which for `down` is the end."""
        _say(self._socket, {"do": request, "machine": machine})
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


def _answer(obey: Obey, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return obey(request)
    except OSError as error:
        return {"refused": error.strerror or str(error), "errno": error.errno}
