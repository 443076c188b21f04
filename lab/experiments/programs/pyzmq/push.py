#!/usr/bin/env python3
"""Deal numbered messages to all the pullers that connect, in turn: one a second, 20 in all.

It runs on Python 2.7 too, for which alone there are old versions of pyzmq.
"""

from __future__ import print_function

import argparse
import json
import os
import platform
import struct
import sys
import threading
import time

import zmq

monotonic = getattr(time, "monotonic", time.time)

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
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - monotonic()  # the wall clock may be set while this runs


def trace(event, **details):  # type: (str, object) -> None
    if options.trace:
        m = monotonic()
        details.update({"m": m} if monotonic is not time.time else {}, t=ahead + m, event=event)
        os.write(2, (json.dumps(details) + "\n").encode())  # one write a line: two threads trace


def watch(monitor):  # type: (zmq.Socket[bytes]) -> None
    names = {int(zmq.EVENT_ACCEPTED): "accepted", int(zmq.EVENT_DISCONNECTED): "disconnected"}
    names[getattr(zmq, "EVENT_HANDSHAKE_SUCCEEDED", 0)] = "connected"  # from 4.3 on
    event = None
    while event != zmq.EVENT_MONITOR_STOPPED:
        (event, _) = struct.unpack("=hi", monitor.recv_multipart()[0])
        if event in names:
            trace(names[event])


context = zmq.Context()
push_socket = context.socket(zmq.PUSH)
for name, _, value in (setting.partition("=") for setting in options.set):
    push_socket.setsockopt(getattr(zmq, name), int(value))
watcher = threading.Thread(target=watch, args=[push_socket.get_monitor_socket()])
watcher.daemon = True
watcher.start()
for address in options.address or ["tcp://*:1234"]:
    push_socket.connect(address) if options.connect else push_socket.bind(address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())
time.sleep(options.delay)
for x in range(options.first, options.first + options.count):
    message = "{} , {!r}".format(x, time.time())
    print(x)
    sys.stdout.flush()
    push_socket.send(message.ljust(options.size).encode())
    trace("sent", number=x, text=message)
    time.sleep(options.interval)
push_socket.disable_monitor()
watcher.join()
context.destroy(options.linger) if options.linger is not None else None
