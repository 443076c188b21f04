#!/usr/bin/env python3
"""Fetch messages from a work queue, do the work, print each when it is done, and acknowledge it."""

import argparse
import asyncio
import os
import signal

from tracing import Tracer
from work_queue import WorkQueue

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("--address", required=True, help="where the broker is, as tcp://HOST:1234")
option("--work", type=float, default=0.0, help="seconds of work on a message (%(default)s)")
option("--die-at", metavar="N", help="kill itself when it has printed message N")
option(
    "--pushed", action="store_true", help="let the broker push messages, instead of fetching them"
)
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()


async def pull() -> None:
    trace = Tracer(tracing=options.trace)
    queue = WorkQueue()
    version = await queue.open(options.address)
    await queue.work(pushed=options.pushed)
    trace.ready(nats=version)
    while True:
        found = await queue.next()
        message = found.data.decode().rstrip()
        number = message.partition(" ")[0]
        trace("received", number=number)
        await asyncio.sleep(options.work)
        print(message, flush=True)
        if number == options.die_at:
            trace("dies", number=number)
            os.kill(os.getpid(), signal.SIGKILL)
        await found.ack()


asyncio.run(pull())
