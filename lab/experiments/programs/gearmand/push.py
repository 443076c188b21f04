#!/usr/bin/env python3
"""Submit numbered jobs in the background, which workers share."""

import argparse
import time

from jobs import Jobs
from tracing import Tracer

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where the broker is, as tcp://HOST:1234")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--delay", type=float, default=0.0, help="seconds before the first (%(default)s)")
option("--size", type=int, default=0, help="bytes, filled up with spaces (as many as it needs)")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
jobs = Jobs(options.address)
trace.ready(gearmand=jobs.version)
time.sleep(options.delay)
for x in range(options.first, options.first + options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    jobs.submit(message.ljust(options.size))
    trace("sent", number=x, text=message)
    time.sleep(options.interval)
