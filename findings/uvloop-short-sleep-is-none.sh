#!/bin/sh
# Guess:   uvloop is a faster event loop that behaves like asyncio's own: `asyncio.sleep(0.0004)` takes
#          at least 0.4 ms on both.
# Happens: uvloop 0.23.0 does not pause at all for delays up to 0.5 ms, and rounds longer ones to whole
#          milliseconds, down as well as up: 1.4 ms may end after 1 ms. A sender that waits 0.4 ms
#          between messages sends them without a pause.
# Source:  uvloop/loop.pyx, Loop.call_later (line 1318): `when = <uint64_t>round(delay * 1000)`, and
#          `_call_soon` if that is 0. asyncio rounds up (selectors.py, EpollSelector.select).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet uvloop==0.23.0
"$work/venv/bin/python" - <<'PYTHON'
import asyncio
import time

import uvloop


async def shortest(delay_ms):
    """Return how many milliseconds the shortest of many such pauses took."""
    took = []
    for _ in range(100):
        start = time.perf_counter()
        await asyncio.sleep(delay_ms / 1000)
        took.append(time.perf_counter() - start)
    return min(took) * 1000


print("uvloop", uvloop.__version__)
for delay_ms in (0.4, 1.4):
    own = asyncio.run(shortest(delay_ms))
    other = uvloop.run(shortest(delay_ms))
    print(f"sleep of {delay_ms} ms, shortest of 100: asyncio {own:.3f} ms, uvloop {other:.3f} ms")
    assert own >= delay_ms and other < delay_ms
PYTHON
