"""Gives a command on a machine our own standard input and outputs, as `ssh HOST COMMAND` does."""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from pushpull.core.output import is_discarding
from pushpull.machines.remote_process import CHUNK, Output, RemoteProcess, lost_ignored, send

if TYPE_CHECKING:
    import paramiko

_NOBODY_READS = 128 + signal.SIGPIPE  # what a shell says of a program that this ends


def attach(channel: "paramiko.Channel") -> int | None:
    """Return the exit status of a command that runs on a channel; None if the connection breaks.

    If our output is read no more, as by `| head`, the command loses its own, and that is the end.
    """
    statuses: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def unread() -> None:
        statuses.put(_NOBODY_READS)
        channel.close()

    stdout, stderr = (_writer(stream, unread) for stream in (sys.stdout, sys.stderr))
    RemoteProcess(channel, stdout, stderr, lambda status, _: statuses.put(status))
    threading.Thread(target=_feed, args=(channel, sys.stdin.fileno()), daemon=True).start()
    return statuses.get()


def _feed(channel: "paramiko.Channel", descriptor: int) -> None:
    """Send the command all that can be read, then the end of its input."""
    with lost_ignored():
        try:
            while data := os.read(descriptor, CHUNK):
                send(channel, data)
        finally:
            channel.shutdown_write()


def _writer(stream: TextIO, unread: Callable[[], None]) -> Output:
    def write(chunk: bytes) -> None:
        stream.buffer.write(chunk)
        stream.flush()
        if is_discarding(stream):
            unread()

    return write
