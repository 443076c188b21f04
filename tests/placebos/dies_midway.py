"""Writes a line and a half, and dies."""

import os
import signal

os.write(1, b"a whole line\nhalf of a li")
os.kill(os.getpid(), signal.SIGKILL)
