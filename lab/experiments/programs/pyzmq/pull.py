#!/usr/bin/env python3
"""Pull messages from a pusher, do the work, and print each when it is done, until killed."""

import argparse
import json
import os
import platform
import signal
import struct
import threading
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", help="where the pusher is (tcp://192.168.0.161:1234)")
option("--bind", action="store_true", help="bind to --address instead: the pushers connect")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as RCVHWM=1")
option("--trace", action="store_true", help="tell on stderr what happens, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    if options.trace:
        line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
        os.write(2, f"{line}\n".encode())  # one write a line: two threads trace


def watch(monitor: "zmq.Socket[bytes]") -> None:
    names = {zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected", zmq.EVENT_DISCONNECTED: "disconnected"}
    while True:
        event, _ = struct.unpack("=hi", monitor.recv_multipart()[0])
        if event in names:
            trace(names[event])


context = zmq.Context()
pull_socket = context.socket(zmq.PULL)
for name, _, value in (setting.partition("=") for setting in options.set):
    pull_socket.setsockopt(getattr(zmq, name), int(value))
if options.trace:
    threading.Thread(target=watch, args=[pull_socket.get_monitor_socket()], daemon=True).start()

for address in options.address or ["tcp://192.168.0.161:1234"]:
    pull_socket.bind(address) if options.bind else pull_socket.connect(address)
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

while True:
    message = pull_socket.recv_string().rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
