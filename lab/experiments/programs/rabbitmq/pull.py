#!/usr/bin/env python3
"""Take messages from a queue, do the work, print each when it is done, and acknowledge it."""

import argparse
import os
import signal
import time

from amqp import Queue
from tracing import Tracer

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where the broker is, as tcp://HOST:1234")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option(
    "--prefetch", type=int, default=1, help="unacknowledged messages at most (%(default)s); 0: any"
)
option("--auto-ack", action="store_true", help="what is sent to it counts as acknowledged")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
queue = Queue(options.address, prefetch=options.prefetch, confirm=not options.auto_ack)
trace.ready(pika=queue.version)
while True:
    key, message = queue.next()
    message = message.rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
    queue.done(key)
