#!/usr/bin/env python3
"""Pull messages from a pusher, do the work, and print each when it is done, until killed.

It runs on Python 2.7 too, for which alone there are old versions of pyzmq.
"""

from __future__ import print_function

import argparse
import json
import os
import platform
import signal
import struct
import sys
import threading
import time

import zmq

monotonic = getattr(time, "monotonic", time.time)

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", help="where the pusher is (tcp://192.168.0.161:1234)")
option("--bind", action="store_true", help="bind to --address instead: the pushers connect")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as RCVHWM=1")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - monotonic()  # the wall clock may be set while this runs


def trace(event, **details):  # type: (str, object) -> None
    if options.trace:
        m = monotonic()
        details.update({"m": m} if monotonic is not time.time else {}, t=ahead + m, event=event)
        os.write(2, (json.dumps(details) + "\n").encode())  # one write a line: two threads trace


def watch(monitor):  # type: (zmq.Socket[bytes]) -> None
    names = {int(zmq.EVENT_DISCONNECTED): "disconnected"}
    names[getattr(zmq, "EVENT_HANDSHAKE_SUCCEEDED", 0)] = "connected"  # from 4.3 on
    while True:
        event, _ = struct.unpack("=hi", monitor.recv_multipart()[0])
        if event in names:
            trace(names[event])


context = zmq.Context()
pull_socket = context.socket(zmq.PULL)
for name, _, value in (setting.partition("=") for setting in options.set):
    pull_socket.setsockopt(getattr(zmq, name), int(value))
if options.trace:
    watcher = threading.Thread(target=watch, args=[pull_socket.get_monitor_socket()])
    watcher.daemon = True
    watcher.start()

for address in options.address or ["tcp://192.168.0.161:1234"]:
    pull_socket.bind(address) if options.bind else pull_socket.connect(address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    message = str(pull_socket.recv().decode()).rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message)
    sys.stdout.flush()
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
