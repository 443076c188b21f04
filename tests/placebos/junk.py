"""Prints bytes that are no text: all of them, a broken character, NULs, empty lines."""

import os

os.write(1, bytes(range(256)) + b"\n")
os.write(1, b"caf\xc3\n\xa9\n")
os.write(1, b"\0\0\n\n\r\n\xff" * 3)
