#!/usr/bin/env python3
"""Serve requests one after another: print each when it is done, then reply; until killed."""

import argparse
import json
import os
import platform
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://*:1234", help="where to bind (%(default)s)")
option("--think", type=float, default=0.0, help="seconds from done to reply (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as LINGER=0")
option("--trace", action="store_true", help="report on stderr that it is ready, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()
service = context.socket(zmq.REP)
for name, _, value in (setting.partition("=") for setting in options.set):
    service.setsockopt(getattr(zmq, name), int(value))
service.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    request = service.recv_string()
    print(f"done {request}", flush=True)
    time.sleep(options.think)
    service.send_string(request)
