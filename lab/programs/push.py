#!/usr/bin/env python3
"""Deal numbered messages to all the pullers that connect, in turn: one a second, 20 in all."""

import argparse
import json
import os
import platform
import struct
import threading
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
from_user.add_argument("--address", default="tcp://*:1234", help="where to bind (%(default)s)")
from_user.add_argument("--count", type=int, default=20, help="messages (%(default)s)")
from_user.add_argument("--interval", type=float, default=1.0, help="seconds (%(default)s)")
from_user.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE",
                       help="a socket option by its ZMQ_ name, such as SNDHWM=1")  # fmt: skip
from_user.add_argument("--trace", action="store_true", help="tell on stderr what happens, as JSON")
options = from_user.parse_args()


def trace(event: str, **details: object) -> None:
    if options.trace:
        line = json.dumps({"t": time.time(), "event": event, **details}) + "\n"
        os.write(2, line.encode())  # one write a line: two threads trace


def watch(monitor: "zmq.Socket[bytes]") -> None:
    names: dict[int, str] = {zmq.EVENT_ACCEPTED: "accepted", zmq.EVENT_DISCONNECTED: "disconnected"}
    names[zmq.EVENT_HANDSHAKE_SUCCEEDED] = "connected"
    event = 0
    while event != zmq.EVENT_MONITOR_STOPPED:
        event, _ = struct.unpack("=hi", monitor.recv_multipart()[0])
        if event in names:
            trace(names[event])


context = zmq.Context()
push_socket = context.socket(zmq.PUSH)
for name, _, value in (option.partition("=") for option in options.set):
    push_socket.setsockopt(getattr(zmq, name), int(value))
if options.trace:
    watcher = threading.Thread(target=watch, args=[push_socket.get_monitor_socket()], daemon=True)
    watcher.start()

push_socket.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

for x in range(options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    push_socket.send_string(message)
    trace("sent", number=x)
    time.sleep(options.interval)

if options.trace:
    push_socket.disable_monitor()
    watcher.join()
