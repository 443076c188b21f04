"""Waits for what has no event that a test could wait for."""

import time
from collections.abc import Callable


def until(condition: Callable[[], object], limit_s: float) -> None:
    """Look again and again until a condition is true; AssertionError if that takes too long."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)
