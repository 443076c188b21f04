#!/usr/bin/env python3
"""Deal numbered messages to all the pullers that connect, in turn: one a second, 20 in all."""

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
option("--address", action="append", help="where to bind (tcp://*:1234)")
option("--connect", action="store_true", help="connect to each --address instead")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--delay", type=float, default=0.0, help="seconds before the first (%(default)s)")
option("--size", type=int, default=0, help="bytes, filled up with spaces (as many as it needs)")
option("--linger", type=int, help="milliseconds to wait for those not out (just end, not close)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as SNDHWM=1")
option("--trace", action="store_true", help="tell on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None  # one write: two threads trace


def watch(monitor: "zmq.Socket[bytes]") -> None:
    names = {zmq.EVENT_ACCEPTED: "accepted", zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected"}
    names[zmq.EVENT_DISCONNECTED] = "disconnected"
    while (event := unpack("=hi", monitor.recv_multipart()[0])[0]) != zmq.EVENT_MONITOR_STOPPED:
        trace(names[event]) if event in names else None


context = zmq.Context()
push_socket = context.socket(zmq.PUSH)
for name, _, value in (setting.partition("=") for setting in options.set):
    push_socket.setsockopt(getattr(zmq, name), int(value))
watcher = threading.Thread(target=watch, args=[push_socket.get_monitor_socket()], daemon=True)
watcher.start()
for address in options.address or ["tcp://*:1234"]:
    push_socket.connect(address) if options.connect else push_socket.bind(address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())
time.sleep(options.delay)
for x in range(options.first, options.first + options.count):
    message = f"{x} , {time.time()}"
    print(x, flush=True)
    push_socket.send_string(message.ljust(options.size))
    trace("sent", number=x, text=message)
    time.sleep(options.interval)
push_socket.disable_monitor()
watcher.join()
context.destroy(options.linger) if options.linger is not None else None
