"""Leaves a daemon behind, which prints when the program itself has long ended, and then stays."""

import os
import signal

program = os.getpid()
gone, here = os.pipe()
if os.fork() == 0:
    os.close(here)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.read(gone, 1)  # the pipe's end comes with the program's
    print("left behind", flush=True)
    while True:
        signal.pause()
