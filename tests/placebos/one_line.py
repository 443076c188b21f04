"""Prints a line of 100 MB between two short ones."""

import os

with os.fdopen(1, "wb") as stdout:
    stdout.write(b"before\n")
    for _ in range(100):
        stdout.write(b"x" * 1_000_000)
    stdout.write(b"\nafter\n")
