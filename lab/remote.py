"""A machine of the lab, reached: files are deployed to it, processes started on it and signalled.

Output is taken from the channels as bytes: Fabric's own `run` decodes it chunk by chunk, and looks
for the end of a command every 10 ms only.
"""

import contextlib
import posixpath
import shlex
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import paramiko

from lab import launcher
from lab.connection import ANSWER_TIMEOUT_S, connect, explained
from lab.errors import LabError
from lab.providers import Access

_CHUNK = 1 << 16

Output = Callable[[bytes], None]


class Remote:
    """One machine of the lab, connected. LabError where it can't be."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.name = access.machine
        self._connection = connect(access)
        self._running: list[RemoteProcess] = []
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._pulse, daemon=True).start()

    def deploy(self, folder: str, files: Mapping[str, Path]) -> None:
        """Make a folder below `work`, and put the launcher and `files` into it, see `put`."""
        self.put(folder, {"launcher.py": Path(launcher.__file__), **files})

    def put(self, folder: str, files: Mapping[str, Path]) -> None:
        """Put files (their names there, and their paths here) into a folder below `work`."""
        target = posixpath.join(self.access.work, folder)
        with explained(self.access, "deploy the programs"):
            sftp = self._connection.sftp()
            sftp.get_channel().settimeout(ANSWER_TIMEOUT_S)
            _make_folders(sftp, target)
            for name, path in files.items():
                _make_folders(sftp, posixpath.dirname(posixpath.join(target, name)))
                with path.open("rb") as file:
                    sftp.putfo(file, posixpath.join(target, name), confirm=False)
                if path.suffix != ".py":  # it is executed by itself
                    sftp.chmod(posixpath.join(target, name), 0o700)

    def read(self, path: str) -> str:
        """Return the text of a file of the machine, such as one of /proc."""
        with explained(self.access, f"read {path}"), self._connection.sftp().open(path) as file:
            text: bytes = file.read()
            return text.decode()

    def remove(self, folder: str) -> None:
        """Remove a folder that `deploy` made, with all that programs left in it."""
        with contextlib.suppress(LabError):  # the machine may be gone, and its files with it
            self.run(["rm", "-rf", "--", posixpath.join(self.access.work, folder)])

    def run(self, argv: Sequence[str]) -> bytes:
        """Run a short command, and return what it prints; LabError when it can't be run."""
        with explained(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            with contextlib.closing(channel):
                return b"".join(iter(lambda: channel.recv(_CHUNK), b""))

    def start(
        self,
        folder: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
    ) -> "RemoteProcess":
        """Start a program under the launcher, in the deployed `folder`.

        `stdout` and `stderr` get each chunk of bytes as it comes, from threads of their own, and
        an empty one at the end; then `ended` gets the exit status, None where the machine or the
        way to it was lost, and the UNIX time when that was known.
        """
        place = posixpath.join(self.access.work, folder)
        command = [self.access.python, "-IS", posixpath.join(place, "launcher.py")]
        with explained(self.access, f"start {argv[-1]}"):
            channel = self._channel(command)
            channel.sendall(launcher.order(list(argv), dict(environment), place))
        process = RemoteProcess(channel, stdout, stderr, ended)
        with self._mutex:
            self._running.append(process)
        return process

    def talk(self, argv: Sequence[str]) -> paramiko.Channel:
        """Start a command to exchange lines with; the caller closes the channel."""
        with explained(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            return channel

    def shell(self) -> None:
        """Give the user a shell on the machine, on their terminal."""
        with explained(self.access, "open a shell"):
            self._connection.shell()

    def close(self) -> None:
        """Close the connection; what was started over it ends with it."""
        self._closed.set()
        self._connection.close()

    def _pulse(self) -> None:
        """Renew the launchers' leases, see `launcher`."""
        while not self._closed.wait(launcher.PULSE_S):
            with self._mutex:
                self._running = [process for process in self._running if not process.ended]
                running = list(self._running)
            for process in running:
                process.signal(0)

    def _channel(self, argv: Sequence[str]) -> paramiko.Channel:
        transport: paramiko.Transport = self._connection.transport
        channel = transport.open_session(timeout=ANSWER_TIMEOUT_S)
        channel.exec_command("exec " + shlex.join(argv))
        return channel


class RemoteProcess:
    """A program that runs on a machine under the launcher; `ended` when it does no more."""

    def __init__(
        self,
        channel: paramiko.Channel,
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
    ) -> None:
        self.ended = False
        self._channel = channel
        self._on_end = ended
        self._threads = [
            threading.Thread(target=self._pump, args=(channel.recv, stdout), daemon=True),
            threading.Thread(target=self._pump, args=(channel.recv_stderr, stderr), daemon=True),
        ]
        for thread in (*self._threads, threading.Thread(target=self._wait, daemon=True)):
            thread.start()

    def signal(self, number: int) -> None:
        """Send a signal to all of the program's processes; nothing if they're gone, or it is 0."""
        with contextlib.suppress(OSError):
            self._channel.sendall(b"%d\n" % number)

    def end(self) -> None:
        """Kill all of the program's processes, as when the harness vanishes."""
        with contextlib.suppress(OSError):
            self._channel.shutdown_write()

    @staticmethod
    def _pump(receive: Callable[[int], bytes], output: Output) -> None:
        while data := receive(_CHUNK):
            output(data)
        output(b"")

    def _wait(self) -> None:
        self._channel.status_event.wait()  # also set when the connection is lost
        gone = time.time()
        for thread in self._threads:
            thread.join()
        status = self._channel.exit_status
        self._channel.close()
        self.ended = True
        self._on_end(None if status < 0 else status, gone)


def _make_folders(sftp: paramiko.SFTPClient, path: str) -> None:
    """Make `path` and what is missing above it; the user's alone, as programs may print secrets."""
    try:
        sftp.stat(path)
    except FileNotFoundError:
        if above := posixpath.dirname(path):
            _make_folders(sftp, above)
        with contextlib.suppress(OSError):  # made meanwhile; else what follows fails, and says why
            sftp.mkdir(path, 0o700)
