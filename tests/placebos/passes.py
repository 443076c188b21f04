"""Prints what it got from the lab, then its numbers on both streams."""

import os
import sys

for name in ("LAB_MACHINE", "LAB_ADDRESS", "LAB_COUNT", "LAB_INTERVAL"):
    print(os.environ[name])
for number in range(int(os.environ["LAB_COUNT"])):
    print(number)
    print(-number, file=sys.stderr)
