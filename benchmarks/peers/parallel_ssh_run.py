"""Run `hostname` on machines by parallel-ssh; say how long it took, and what they answered.

`parallel_ssh_run.py USER KEY PORT...`: all of them are at 127.0.0.1.
"""

import sys
import time

from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig

user, key, *ports = sys.argv[1:]
settings = [HostConfig(port=int(port)) for port in ports]
start = time.monotonic()
hosts = ["127.0.0.1"] * len(ports)
client = ParallelSSHClient(
    hosts, user=user, pkey=key, allow_agent=False, host_config=settings, num_retries=1
)
answers = client.run_command("hostname")
names = [line for answer in answers for line in answer.stdout]
print(time.monotonic() - start, *names)
