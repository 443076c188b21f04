"""Print numbered lines at an even pace."""

import os
import time

interval = float(os.environ["LAB_INTERVAL"])
start = time.monotonic()
for number in range(int(os.environ["LAB_COUNT"])):
    time.sleep(max(0.0, start + number * interval - time.monotonic()))
    os.write(1, b"line %d\n" % number)
