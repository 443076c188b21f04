"""The article's first run, as a test of ducktape would have it."""

import os

from ducktape.mark.resource import cluster
from ducktape.services.service import Service
from ducktape.tests.test import Test
from ducktape.utils.util import wait_until

PROGRAMS, COUNT = os.environ["LAB_PROGRAMS"], int(os.environ["LAB_COUNT"])
PYTHON, INTERVAL = os.environ["LAB_PYTHON"], os.environ["LAB_INTERVAL"]
PORT = 1234


class Pullers(Service):
    """Programs that run until they are stopped, each logging on its node."""

    def __init__(self, context, count, pusher):
        super().__init__(context, count)
        self.to = f"tcp://{pusher}:{PORT}"
        self.pids = {}

    def start_node(self, node):
        node.account.mkdirs("/tmp/pull")
        node.account.copy_to(f"{PROGRAMS}/pull.py", "/tmp/pull/pull.py")
        command = f"{PYTHON} /tmp/pull/pull.py --address {self.to} --trace"
        started = f"nohup {command} >/tmp/pull/log 2>/tmp/pull/errors </dev/null & echo $!"
        self.pids[node] = int(node.account.ssh_output(started))

    def is_ready(self, node):
        return node.account.ssh("grep -q ready /tmp/pull/errors", allow_fail=True) == 0

    def numbers(self, node):
        log = node.account.ssh_output("cat /tmp/pull/log").decode()
        return [int(line.split(" , ")[0]) for line in log.splitlines()]

    def stop_node(self, node):
        if node in self.pids:  # ducktape also calls this before it starts one
            node.account.signal(self.pids.pop(node), 9, allow_fail=True)

    def clean_node(self, node):
        node.account.remove("/tmp/pull", allow_fail=True)


class Pusher(Service):
    """A program that is run to its end."""

    def __init__(self, context):
        super().__init__(context, 1)

    def start_node(self, node):
        node.account.copy_to(f"{PROGRAMS}/push.py", "/tmp/push.py")
        address = f"--address tcp://*:{PORT}"
        command = f"{PYTHON} /tmp/push.py {address} --count {COUNT} --interval {INTERVAL}"
        self.printed = list(node.account.ssh_capture(command))

    def stop_node(self, node):
        pass

    def clean_node(self, node):
        node.account.remove("/tmp/push.py", allow_fail=True)


class PushPull(Test):
    """Each message goes to exactly one of two machines."""

    @cluster(num_nodes=3)
    def test_round_robin(self):
        pusher = Pusher(self.test_context)
        address = pusher.nodes[0].account.externally_routable_ip
        pullers = Pullers(self.test_context, 2, address)
        pullers.start()
        for node in pullers.nodes:
            wait_until(lambda node=node: pullers.is_ready(node), timeout_sec=10, backoff_sec=0.1)
        pusher.start()

        def received():
            return sorted(n for node in pullers.nodes for n in pullers.numbers(node))

        wait_until(lambda: received() == list(range(COUNT)), timeout_sec=10, backoff_sec=0.1)
