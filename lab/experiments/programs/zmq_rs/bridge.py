"""What both programs share: how mq-bridge is asked for zmq.rs, and what they report on stderr."""

import json
import os
import platform
import time
from importlib.metadata import version

_ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


class Tracer:
    """Reports events, one JSON object a line, if it is asked to."""

    def __init__(self, *, tracing: bool) -> None:
        self._tracing = tracing

    def __call__(self, event: str, **details: object) -> None:
        if self._tracing:
            m = time.monotonic()
            line = json.dumps({"t": _ahead + m, "m": m, "event": event, **details})
            os.write(2, f"{line}\n".encode())

    def ready(self) -> None:
        self(
            "ready",
            **{"mq-bridge": version("mq-bridge-basic"), "python": platform.python_version()},
        )


def endpoint(address: str, kind: str, *, bind: bool) -> "dict[str, object]":
    """Return the configuration of an end; every address is 0.0.0.0 here."""
    url = address.replace("tcp://*:", "tcp://0.0.0.0:")
    about = {"url": url, "socket_type": kind, "bind": bind, "backend": "zmq", "format": "raw"}
    return {"zeromq": about}
