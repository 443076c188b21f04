"""Prints 10,000 lines as fast as it can, of 0 to 199 bytes."""

import sys

for number in range(10_000):
    sys.stdout.write(str(number % 10) * (number % 200) + "\n")
