#!/usr/bin/env python3
"""Receive messages, do the work, and print each when it is done, until killed."""

import argparse
import os
import signal
import time

import pynng
from tracing import Tracer, place

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", required=True, help="where the sender is")
option("--bind", action="store_true", help="bind to --address instead: the senders connect")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

trace = Tracer(tracing=options.trace)
socket = pynng.Pull0()
trace.watch(socket)
for address in options.address:
    socket.listen(place(address)) if options.bind else socket.dial(place(address), block=False)
trace.ready()
while True:
    message = socket.recv().decode().rstrip()
    number = message.partition(" ")[0]
    trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
