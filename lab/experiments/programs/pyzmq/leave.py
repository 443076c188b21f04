#!/usr/bin/env python3
"""Push messages to a puller that can't keep up, and leave at once, in some way.

It runs on Python 2.7 too, for which alone there are old versions of pyzmq.
"""

from __future__ import print_function

import argparse
import json
import os
import platform
import signal
import sys
import time

import zmq

WAYS = ("close", "exit", "linger", "drop", "sigterm", "sigkill")

monotonic = getattr(time, "monotonic", time.time)

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://*:1234", help="where to bind (%(default)s)")
option("--count", type=int, default=50, help="messages (%(default)s)")
option("--interval", type=float, default=0.0, help="seconds between two (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--size", type=int, default=60000, help="bytes of a message (%(default)s)")
option("--way", choices=WAYS, default="exit", help="how to leave (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as SNDHWM=1")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - monotonic()  # the wall clock may be set while this runs


def trace(event, **details):  # type: (str, object) -> None
    if options.trace:
        m = monotonic()
        details.update({"m": m} if monotonic is not time.time else {}, t=ahead + m, event=event)
        os.write(2, (json.dumps(details) + "\n").encode())  # one write a line: two threads trace


context = zmq.Context()
push_socket = context.socket(zmq.PUSH)
for name, _, value in (setting.partition("=") for setting in options.set):
    push_socket.setsockopt(getattr(zmq, name), int(value))
push_socket.bind(options.address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())
for x in range(options.first, options.first + options.count):
    print(x)
    sys.stdout.flush()
    push_socket.send("{} , {!r}".format(x, time.time()).ljust(options.size).encode())
    trace("sent", number=x)
    time.sleep(options.interval)

if options.way == "sigkill":
    os.kill(os.getpid(), signal.SIGKILL)
elif options.way == "sigterm":
    os.kill(os.getpid(), signal.SIGTERM)
elif options.way == "drop":  # what LINGER=0 means
    push_socket.close(linger=0)
    context.term()
elif options.way == "linger":  # half a second, which is not enough here
    push_socket.close(linger=500)
    context.term()
elif options.way == "close":  # the default, LINGER=-1, written out
    push_socket.close(linger=-1)
    context.term()
sys.exit()
