"""Runs a listing of the article, unchanged, with the flags and traces of the program protocol.

It puts a layer of its own between the listing and zmq, which reports what happens. With the flags that
the article's own run has (20 messages, one a second, the article's addresses), that is all it does.
"""

import argparse
import json
import os
import platform
import time

import zmq

from_user = argparse.ArgumentParser(description=__doc__)
option = from_user.add_argument
option("listing", help="the article's program")
option("--address", action="append", required=True, help="in place of the one in the listing")
option("--count", type=int, default=20, help="messages (%(default)s)")
option("--first", type=int, default=0, help="the first one's number (%(default)s)")
option("--interval", type=float, default=1.0, help="seconds between two (%(default)s)")
option("--trace", action="store_true", help="report on stderr what happens, as JSON")
options = from_user.parse_args()
sleep = time.sleep


def trace(event, **details):
    if options.trace:
        os.write(2, json.dumps(dict(details, t=time.time(), event=event)) + "\n")


class Socket(object):
    """The listing's socket: one of zmq, whose use it reports."""

    def __init__(self, socket):
        self.socket = socket

    def bind(self, _):
        self.begin(self.socket.bind)

    def connect(self, _):
        self.begin(self.socket.connect)

    def begin(self, how):
        for address in options.address:
            how(address)
        versions = {"libzmq": zmq.zmq_version(), "pyzmq": zmq.__version__}
        trace("ready", python=platform.python_version(), **versions)

    def send(self, message):
        self.socket.send(message)
        trace("sent", number=int(message.split()[0]), text=message)

    def recv(self):
        message = self.socket.recv()
        trace("received", number=message.split()[0])
        return message


class Context(object):
    """The listing's context."""

    def __init__(self):
        self.context = zmq.Context()

    def socket(self, kind):
        return Socket(self.context.socket(kind))


class Zmq(object):
    """The listing's module zmq."""

    PUSH, PULL, Context = zmq.PUSH, zmq.PULL, Context


def numbers(count):
    """Return the listing's range(20), or what is asked for instead."""
    return range(options.first, options.first + options.count)


def imported(name, *rest):
    return Zmq if name == "zmq" else __import__(name, *rest)


time.sleep = lambda seconds: sleep(seconds * options.interval)
builtins = dict(vars(__builtins__), __import__=imported, range=numbers)
execfile(options.listing, {"__builtins__": builtins, "__name__": "__main__"})
