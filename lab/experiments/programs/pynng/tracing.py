"""What both programs report on stderr: one JSON object a line."""

import json
import os
import platform
import time
from importlib.metadata import version

_ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


class Tracer:
    """Reports events, if it is asked to; those of a socket's connections as they come."""

    def __init__(self, *, tracing: bool) -> None:
        self._tracing = tracing

    def __call__(self, event: str, **details: object) -> None:
        if self._tracing:
            m = time.monotonic()
            line = json.dumps({"t": _ahead + m, "m": m, "event": event, **details})
            os.write(2, f"{line}\n".encode())  # one write a line: several threads trace

    def watch(self, socket: object) -> None:
        socket.add_post_pipe_connect_cb(lambda _: self("connected"))  # type: ignore[attr-defined]
        socket.add_post_pipe_remove_cb(lambda _: self("disconnected"))  # type: ignore[attr-defined]

    def stop(self) -> None:
        """Report nothing more: at the program's end it is itself that closes its connections."""
        self._tracing = False

    def ready(self) -> None:
        self("ready", pynng=version("pynng"), python=platform.python_version())


def place(address: str) -> str:
    """Return an address as nng takes it: every address is 0.0.0.0 there."""
    return address.replace("tcp://*:", "tcp://0.0.0.0:")
