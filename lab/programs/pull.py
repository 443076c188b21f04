#!/usr/bin/env python3
"""Pull messages from a pusher, and print each as it comes, until killed."""

import argparse
import json
import os
import platform
import struct
import threading
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
from_user.add_argument("--address", default="tcp://192.168.0.161:1234",
                       help="where the pusher is (%(default)s)")  # fmt: skip
from_user.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                       help="a socket option by its ZMQ_ name, such as RCVHWM=1")  # fmt: skip
from_user.add_argument("--trace", action="store_true", help="tell on stderr what happens, as JSON")
options = from_user.parse_args()


def trace(event: str, **details: object) -> None:
    if options.trace:
        line = json.dumps({"t": time.time(), "event": event, **details}) + "\n"
        os.write(2, line.encode())  # one write a line: two threads trace


def watch(monitor: "zmq.Socket[bytes]") -> None:
    names: dict[int, str] = {
        zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected",
        zmq.EVENT_DISCONNECTED: "disconnected",
    }
    while True:
        event, _ = struct.unpack("=hi", monitor.recv_multipart()[0])
        if event in names:
            trace(names[event])


context = zmq.Context()
pull_socket = context.socket(zmq.PULL)
for name, _, value in (option.partition("=") for option in options.set):
    pull_socket.setsockopt(getattr(zmq, name), int(value))
if options.trace:
    threading.Thread(target=watch, args=[pull_socket.get_monitor_socket()], daemon=True).start()

pull_socket.connect(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    message = pull_socket.recv_string()
    trace("received", number=message.partition(" ")[0])
    print(message, flush=True)
