#!/usr/bin/env python3
"""The middle of a pipeline: pull a message, do the work, print it and push it on; until killed."""

import argparse
import json
import os
import platform
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://192.168.0.161:1234", help="where to pull from (%(default)s)")
option("--sink", default="tcp://192.168.0.161:1235", help="where to push to (%(default)s)")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as RCVHWM=1")
option("--trace", action="store_true", help="report on stderr that it is ready, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()
source, sink = context.socket(zmq.PULL), context.socket(zmq.PUSH)
for name, _, value in (setting.partition("=") for setting in options.set):
    source.setsockopt(getattr(zmq, name), int(value))
    sink.setsockopt(getattr(zmq, name), int(value))
source.connect(options.address)
sink.connect(options.sink)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    message = source.recv_string()
    time.sleep(options.work)
    print(message, flush=True)
    sink.send_string(message)
