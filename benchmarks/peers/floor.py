"""What the kernel takes for so many machines: fork, unshare and a veth into a bridge; no more.

All children are made, then one call of iproute2 makes all links. Says when they are up, and how
many bytes of memory each child has of its own.
"""

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

# Of the mount, UTS, IPC, PID and network namespaces, as in sched.h.
FLAGS = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000

count, ip = int(sys.argv[1]), sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
ready, is_ready = os.pipe()
children = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        if libc.unshare(FLAGS):
            os._exit(ctypes.get_errno())
        os.write(is_ready, b".")
        while True:
            time.sleep(3600)
    children.append(child)
os.close(is_ready)
waiting = count
while waiting:
    said = os.read(ready, waiting)
    if not said:
        sys.exit("a child could not unshare")
    waiting -= len(said)
batch = ["link add lab type bridge", "link set lab up"]
for number, child in enumerate(children):
    batch.append(f"link add m{number} master lab up type veth peer name eth0 netns {child}")
subprocess.run([ip, "-batch", "-"], input="\n".join(batch), text=True, check=True)
now = time.monotonic()
rollups = [Path(f"/proc/{child}/smaps_rollup").read_text() for child in children]
lines = [line for rollup in rollups for line in rollup.splitlines()]
kilobytes = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
print(now, kilobytes * 1024 / count, flush=True)
os._exit(0)  # with its first process the namespace ends, and all in it
