#!/usr/bin/env python3
"""Receive messages, do the work, and print each when it is done, until killed."""

import argparse
import os
import signal
import time

from nanomsg import PULL, Socket

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", action="append", required=True, help="where the sender is")
option("--bind", action="store_true", help="bind to --address instead: the senders connect")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()

socket = Socket(PULL, tracing=options.trace)
socket.begin(options.address, bind=options.bind)
while True:
    message = socket.recv().decode().rstrip()
    number = message.partition(" ")[0]
    socket.trace("received", number=number)
    time.sleep(options.work)
    print(message, flush=True)
    if number == options.die_at:
        socket.trace("dies", number=number)
        os.kill(os.getpid(), signal.SIGKILL)
