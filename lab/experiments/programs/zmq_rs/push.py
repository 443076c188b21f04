#!/usr/bin/env python3
"""Send numbered messages in turn to all receivers that connect; try again what is refused."""

import argparse
import time

from bridge import Tracer, endpoint
from mq_bridge import Publisher

_RETRY_S, _LAST_S = 0.01, 0.5  # what is still being written is lost when the program ends

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where to bind, as tcp://*:1234")
option("--connect", action="store_true", help="connect to --address instead")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--delay", type=float, default=0.0, help="seconds before the first (%(default)s)")
option("--size", type=int, default=0, help="bytes, filled up with spaces (as many as it needs)")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
publisher = Publisher.from_config(endpoint(options.address, "push", bind=not options.connect))
trace.ready()
time.sleep(options.delay)
for x in range(options.first, options.first + options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    refused = 0
    while True:
        try:
            publisher.send(message.ljust(options.size).encode())
            break
        except RuntimeError:  # nobody is connected, or the one whose turn it is has gone
            refused += 1
            time.sleep(_RETRY_S)
    trace("sent", number=x, text=message, **({"values": {"refused": refused}} if refused else {}))
    time.sleep(options.interval)
time.sleep(_LAST_S)
