#!/usr/bin/env python3
"""Send numbered requests one after another; when no reply comes, try again with a new socket."""

import argparse
import json
import os
import platform
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", default="tcp://192.168.0.161:1234", help="where the service is (%(default)s)")
option("--count", type=int, default=5, help="requests (%(default)s)")
option("--timeout", type=float, default=1.0, help="seconds to wait for a reply (%(default)s)")
option("--set", action="append", default=[], metavar="OPTION=VALUE", help="such as LINGER=0")
option("--trace", action="store_true", help="report on stderr that it is ready, as JSON")
options = from_user.parse_args()
ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def trace(event: str, **details: object) -> None:
    line = json.dumps({"t": ahead + (m := time.monotonic()), "m": m, "event": event, **details})
    os.write(2, f"{line}\n".encode()) if options.trace else None


context = zmq.Context()


def connected() -> "zmq.Socket[bytes]":
    socket = context.socket(zmq.REQ)
    socket.linger = 0
    for name, _, value in (setting.partition("=") for setting in options.set):
        socket.setsockopt(getattr(zmq, name), int(value))
    socket.connect(options.address)
    return socket


client = connected()
trace("ready", libzmq=zmq.zmq_version(), pyzmq=zmq.__version__, python=platform.python_version())

for x in range(options.count):
    print(f"ask {x}", flush=True)
    client.send_string(str(x))
    while not client.poll(options.timeout * 1000):
        print(f"no reply to {x}", flush=True)
        try:
            client.send_string(str(x))
        except zmq.ZMQError as error:
            print(f"can't ask {x} again: {zmq.Errno(error.errno or 0).name}", flush=True)
        client.close()
        client = connected()
        print(f"ask {x} on a new socket", flush=True)
        client.send_string(str(x))
    print(f"reply to {client.recv_string()}", flush=True)
