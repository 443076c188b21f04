#!/usr/bin/env python3
"""Send numbered messages in turn to all receivers that connect."""

import argparse
import time

from nanomsg import PUSH, Socket

_LAST_S = 0.5  # nanomsg drops what it is still writing when the program ends

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", required=True, help="where to bind, as tcp://*:1234")
option("--connect", action="store_true", help="connect to each --address instead")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--delay", type=float, default=0.0, help="seconds before the first (%(default)s)")
option("--size", type=int, default=0, help="bytes, filled up with spaces (as many as it needs)")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

socket = Socket(PUSH, tracing=options.trace)
socket.begin(options.address, bind=not options.connect)
time.sleep(options.delay)
for x in range(options.first, options.first + options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    socket.send(message.ljust(options.size).encode())
    socket.trace("sent", number=x, text=message)
    time.sleep(options.interval)
time.sleep(_LAST_S)
