"""Bring up so many hosts of Mininet behind one bridge of the kernel; say when they are up."""

import os
import sys
import time

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo

count = int(sys.argv[1])
net = Mininet(SingleSwitchTopo(count), switch=LinuxBridge, controller=None, ipBase="10.10.0.0/16")
net.start()
now = time.monotonic()
last = net.hosts[-1]
assert len(net.hosts) == count
assert f"inet {last.IP()}/" in last.cmd("ip -4 address show dev", last.intf())
print(now, flush=True)
os._exit(0)  # with its first process the namespace ends, and all in it
