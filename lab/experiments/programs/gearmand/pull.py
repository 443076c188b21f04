#!/usr/bin/env python3
"""Grab jobs, do the work, print each when it is done, and report that."""

import argparse
import os
import signal
import time

from jobs import Jobs
from tracing import Tracer

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where the broker is, as tcp://HOST:1234")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
jobs = Jobs(options.address)
trace.ready(gearmand=jobs.version)
while True:
    key, message = jobs.grab()
    message = message.rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
    jobs.done(key)
