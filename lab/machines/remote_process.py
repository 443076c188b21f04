"""What runs on a machine behind an SSH channel: a process, or a lease on a network change."""

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from pushpull.core import clock
from pushpull.core.clock import Moment
from pushpull.machines.agent import launcher
from pushpull.machines.connection import ANSWER_TIMEOUT_S

if TYPE_CHECKING:
    import paramiko

CHUNK = 1 << 16

Output = Callable[[bytes], None]


class ChangeLease:
    """A change of a machine's network that lasts until it is released, or until the lab is gone.

    `at` is when it took effect, by the machine's clocks.
    """

    def __init__(
        self, channel: "paramiko.Channel", answers: "paramiko.ChannelFile", at: Moment
    ) -> None:
        self.at = at
        self.ended = False
        self._channel = channel
        self._answers = answers

    def signal(self, _: int) -> None:
        """Renew the rule keeper's lease."""
        with lost_ignored():
            send(self._channel, b"\n")

    def release(self) -> str:
        """Undo the change; return once it is undone, with the last line that was said of it."""
        self.ended = True
        with lost_ignored():
            self._channel.shutdown_write()
        self._channel.status_event.wait(ANSWER_TIMEOUT_S)
        said = ""
        with lost_ignored():
            said = self._answers.readline().strip()
        self._channel.close()
        return said


class RemoteProcess:
    """A program that runs on a machine under the launcher, until `ended` is true."""

    def __init__(
        self,
        channel: "paramiko.Channel",
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
    ) -> None:
        self.ended = False
        self._channel = channel
        self._on_end = ended
        self._silent_since = 0.0
        self._threads = [
            threading.Thread(target=self._pump, args=(channel.recv, stdout), daemon=True),
            threading.Thread(target=self._pump, args=(channel.recv_stderr, stderr), daemon=True),
        ]
        self._waiting = threading.Thread(target=self._wait, daemon=True)
        for thread in (*self._threads, self._waiting):
            thread.start()

    def signal(self, number: int) -> None:
        """Signal all of the program's processes, if there are any; 0 only renews the lease."""
        with lost_ignored():
            send(self._channel, b"%d\n" % number)

    def order(self, text: str) -> None:
        """Give the line holder an order; the program must have been started `held`."""
        data = text.encode("utf-8", "surrogateescape")
        with lost_ignored():
            send(self._channel, b"%d\n%d\n%s" % (launcher.HOLD_ORDER, len(data), data))

    def end(self) -> None:
        """Kill all of the program's processes, as happens when the harness is gone."""
        with lost_ignored():
            self._channel.shutdown_write()

    def wait(self, timeout: float) -> None:
        """Wait until it has ended and all its output was read, for at most `timeout` seconds."""
        self._waiting.join(timeout)

    def _pump(self, receive: Callable[[int], bytes], output: Output) -> None:
        while data := receive(CHUNK):
            output(data)
        self._silent_since = clock.now()
        output(b"")

    def _wait(self) -> None:
        for thread in self._threads:
            thread.join()
        # The launcher has both streams open until the last process is gone. So their end proves
        # that, and comes before the exit status, which waits for the launcher's own end.
        gone = self._silent_since
        self._channel.status_event.wait()  # also set when the connection is lost
        status = self._channel.exit_status
        with lost_ignored():
            self._channel.close()
        self.ended = True
        self._on_end(None if status < 0 else status, gone)


def lost_ignored() -> contextlib.suppress:
    """Return a context that ends silently when the connection breaks."""
    from paramiko import SSHException

    return contextlib.suppress(OSError, EOFError, SSHException)


def send(channel: "paramiko.Channel", data: bytes) -> None:
    """Send all data, or raise OSError: Paramiko's `sendall` never returns on a closed channel."""
    while data:
        sent = channel.send(data)
        if sent == 0:
            raise OSError("the channel is closed")
        data = data[sent:]
