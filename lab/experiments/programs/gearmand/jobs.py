"""Jobs of gearmand that workers share, by its protocol; they outlive lost connections.

https://gearman.org/protocol: a packet is 12 bytes (REQ or RES, type, size), then arguments with
NULs between them.
"""

import socket
import struct
import time
from collections.abc import Callable
from typing import TypeVar

_FUNCTION = b"work"
_RETRY_S = 0.1
_CAN_DO, _PRE_SLEEP, _GRAB_JOB, _JOB_ASSIGN, _WORK_COMPLETE, _SUBMIT_JOB_BG = 1, 4, 9, 11, 13, 18
_JOB_CREATED, _ERROR = 8, 19
_HEADER = struct.Struct(">4sLL")
_Result = TypeVar("_Result")


class Jobs:
    """What both programs do with them. A broker that is away is tried again, for ever."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._place = (host, int(port))
        self._wire: socket.socket | None = None
        self.version = self._again(self._ask_version)

    def submit(self, text: str) -> None:
        """Return when the broker has taken a job, which nobody waits for."""

        def call() -> None:
            self._send(_SUBMIT_JOB_BG, _FUNCTION, b"", text.encode())
            while self._take()[0] != _JOB_CREATED:
                pass

        self._again(call)

    def grab(self) -> tuple[bytes, str]:
        """Wait for a job; return its handle and its text. It is ours while we are connected."""

        def call() -> tuple[bytes, str]:
            self._send(_CAN_DO, _FUNCTION)
            while True:
                self._send(_GRAB_JOB)
                kind, content = self._take()
                if kind == _JOB_ASSIGN:
                    handle, _, text = content.split(b"\0", 2)
                    return handle, text.decode()
                self._send(_PRE_SLEEP)
                self._take()  # NOOP: there may be one

        return self._again(call)

    def done(self, handle: bytes) -> None:
        """Report that a job is done; if we were disconnected meanwhile, it is another's."""
        try:
            self._send(_WORK_COMPLETE, handle, b"")
        except OSError:
            self._wire = None

    def _send(self, kind: int, *arguments: bytes) -> None:
        content = b"\0".join(arguments)
        self._connected().sendall(_HEADER.pack(b"\0REQ", kind, len(content)) + content)

    def _take(self) -> tuple[int, bytes]:
        _, kind, size = _HEADER.unpack(self._read(_HEADER.size))
        content = self._read(size)
        if kind == _ERROR:
            raise RuntimeError(content.decode("utf-8", "backslashreplace"))
        return kind, content

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self._connected().recv(size - len(found))
            if not more:
                raise ConnectionError("the broker has gone")
            found += more
        return found

    def _ask_version(self) -> str:
        self._connected().sendall(b"version\n")
        line = b""
        while not line.endswith(b"\n"):
            line += self._read(1)
        return line.decode().strip().removeprefix("OK ")

    def _connected(self) -> socket.socket:
        if self._wire is None:
            self._wire = socket.create_connection(self._place)
        return self._wire

    def _again(self, call: Callable[[], _Result]) -> _Result:
        while True:
            try:
                return call()
            except OSError:
                self._wire = None
                time.sleep(_RETRY_S)
