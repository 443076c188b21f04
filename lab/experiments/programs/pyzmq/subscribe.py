#!/usr/bin/env python3
"""Subscribe to all that a publisher sends, and print each message as it comes, until killed."""

import argparse
import json
import os
import platform
import threading
import time
from struct import unpack

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://192.168.0.161:1234", help="where the publisher is (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as RCVHWM=1")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None  # one write: two threads trace


def watch(monitor: "zmq.Socket[bytes]") -> None:
    names = {zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected", zmq.EVENT_DISCONNECTED: "disconnected"}
    while True:
        event, _ = unpack("=hi", monitor.recv_multipart()[0])
        trace(names[event]) if event in names else None


context = zmq.Context()
subscriber = context.socket(zmq.SUB)
for name, _, value in (setting.partition("=") for setting in options.set):
    subscriber.setsockopt(getattr(zmq, name), int(value))
threading.Thread(target=watch, args=[subscriber.get_monitor_socket()], daemon=True).start()
subscriber.subscribe("")
subscriber.connect(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    message = subscriber.recv_string()
    trace("received", number=message.partition(" ")[0])
    print(message, flush=True)
