"""What both programs report on stderr: one JSON object a line."""

import json
import os
import platform
import time

_ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


class Tracer:
    """Reports events, if it is asked to."""

    def __init__(self, *, tracing: bool) -> None:
        self._tracing = tracing

    def __call__(self, event: str, **details: object) -> None:
        if self._tracing:
            m = time.monotonic()
            line = json.dumps({"t": _ahead + m, "m": m, "event": event, **details})
            os.write(2, f"{line}\n".encode())

    def ready(self, **versions: str) -> None:
        self("ready", **versions, python=platform.python_version())
