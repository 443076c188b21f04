"""Forks the workers of a sweep: a process that has imported everything, so that they need not.

`python -m pushpull.cli.sweep_nursery`: standard input is a socket. Each message on it carries two
descriptors for one new worker: its connection, and the file for whatever it prints. It ends with
the sweep, however that ends, as its socket then does. (multiprocessing's forkserver does the same,
but a killed sweep would leave its socket in /tmp.)
"""

import gc
import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from typing import IO

from pushpull.analysis import by_number, deliveries, digit_lines  # noqa: F401  # for each run
from pushpull.cli import sweep_worker
from pushpull.machines import ssh_library


class Nursery:
    """The sweep's end: starts the process, and has it fork workers."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pushpull.cli.sweep_nursery"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the sweep alone
            )

    def fork(self, errors: IO[str]) -> Connection:
        """Start a worker that prints into a file; return the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"w"], [theirs.fileno(), errors.fileno()])
        return Connection(ours.detach())

    def close(self) -> None:
        """End the process; workers end with their connections."""
        self._socket.close()
        self._process.wait()


def main() -> None:
    """Fork a worker for each message, until the sweep ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the workers
    ssh_library.get_ready()
    gc.freeze()  # no collection in a worker touches, and so copies, what they all share
    with socket.socket(fileno=0) as orders:
        while True:
            message, descriptors, _, _ = socket.recv_fds(orders, 1, 2)
            if not message:
                return
            if os.fork() == 0:
                orders.close()
                _be_worker(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _be_worker(connection: int, errors: int) -> None:
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, stream in ((null, 0), (errors, 1), (errors, 2)):
            os.dup2(source, stream)
        for spare in (null, errors):
            if spare > 2:
                os.close(spare)
        sweep_worker.main(Connection(connection))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
