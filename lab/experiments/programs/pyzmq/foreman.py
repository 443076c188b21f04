#!/usr/bin/env python3
"""Hand out numbered messages to the workers that ask for one: who asks is idle, whoever it is."""

import argparse
import json
import os
import platform
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://*:1234", help="where to bind (%(default)s)")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as SNDHWM=1")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()
foreman = context.socket(zmq.ROUTER)
for name, _, value in (setting.partition("=") for setting in options.set):
    foreman.setsockopt(getattr(zmq, name), int(value))
foreman.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

for x in range(options.first, options.first + options.count):
    worker, _, _ = foreman.recv_multipart()  # a ROUTER knows who asks, and can answer just it
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    foreman.send_multipart([worker, b"", message.encode()])
    trace("sent", number=x)
    time.sleep(options.interval)
