#!/usr/bin/env python3
"""Publish numbered messages to whoever has subscribed: one a second, 20 in all."""

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
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as SNDHWM=1")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()
publisher = context.socket(zmq.PUB)
for name, _, value in (setting.partition("=") for setting in options.set):
    publisher.setsockopt(getattr(zmq, name), int(value))
publisher.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

for x in range(options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    publisher.send_string(message)
    trace("sent", number=x)
    time.sleep(options.interval)
