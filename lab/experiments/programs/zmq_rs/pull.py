#!/usr/bin/env python3
"""Receive messages, do the work, and print each when it is done, until killed."""

import argparse
import os
import queue
import signal
import threading
import time

from bridge import Tracer, endpoint
from mq_bridge import Consumer

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", required=True, help="where the sender is")
option("--bind", action="store_true", help="bind to --address instead: the senders connect")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
inbox: "queue.Queue[bytes]" = queue.Queue(1)


def receive(address: str) -> None:
    consumer = Consumer.from_config(endpoint(address, "pull", bind=options.bind))
    while True:
        for message in consumer.poll(1):
            inbox.put(message.payload)
        consumer.commit()


for each in options.address:
    threading.Thread(target=receive, args=[each], daemon=True).start()
if options.bind:
    time.sleep(0.2)  # the library doesn't report that it listens
trace.ready()
while True:
    message = inbox.get().decode().rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
