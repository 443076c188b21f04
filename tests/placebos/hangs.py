"""Prints a line, and nothing more for ever; it takes no hint."""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("on", flush=True)
while True:
    signal.pause()
