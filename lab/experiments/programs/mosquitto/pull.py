#!/usr/bin/env python3
"""Share a subscription with others; do the work on each message, and print it when it is done."""

import argparse
import os
import signal
import threading
import time
from importlib.metadata import version

from topic import Topic
from tracing import Tracer

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where the broker is, as tcp://HOST:1234")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--qos", type=int, choices=[0, 1], default=1, help="the quality of service (%(default)s)")
option("--keepalive", type=int, default=60, help="seconds between signs of life (%(default)s)")
option("--session", action="store_true", help="have a session that outlives its connection")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
is_ready = threading.Event()  # a message may come before that is reported


def work(text: str) -> None:
    is_ready.wait()
    message = text.rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)


name = f"{os.uname().nodename}-{os.getpid()}-{time.time_ns()}" if options.session else ""
topic = Topic(options.address, work, qos=options.qos, session=name, keepalive=options.keepalive)
trace.ready(paho=version("paho-mqtt"))
is_ready.set()
threading.Event().wait()
