#!/usr/bin/env python3
"""Push to one puller until no more is taken, and print how many messages were accepted by then."""

import argparse
import json
import os
import platform
import time

import zmq

_PATIENCE_MS = 500  # how long `send` must be impossible to count as blocked

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://*:1234", help="where to bind (%(default)s)")
option("--size", type=int, default=20, help="bytes of a message (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as SNDHWM=1")
option("--trace", action="store_true", help="report on stderr that it is ready, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()
push_socket = context.socket(zmq.PUSH)
push_socket.linger = 0
for name, _, value in (setting.partition("=") for setting in options.set):
    push_socket.setsockopt(getattr(zmq, name), int(value))
push_socket.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

message = b"0 , 0".ljust(options.size)
accepted = 0
push_socket.poll(-1, zmq.POLLOUT)  # until the puller is there
while push_socket.poll(_PATIENCE_MS, zmq.POLLOUT):
    push_socket.send(message)
    accepted += 1
high_water_mark = int(push_socket.get(zmq.SNDHWM))
print(f"HWM {high_water_mark}, {options.size} bytes: {accepted} accepted", flush=True)
