"""The SSH server of an embedded machine, which answers Fabric as sshd would.

Its connections come from relay.py. It accepts one client key, runs each command under `/bin/sh -c`,
serves files by SFTP, and opens a terminal on request. Channels don't affect each other: each
command has its own pumps, and a broken channel closes its command's pipes, as with OpenSSH.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncssh
from asyncssh.constants import MSG_IGNORE

from pushpull.machines.providers.embedded import output_pump, relay

_CHUNK = 65536
# Reset as by a real server, even if the lab's caller ignores some: `nohup` ignores SIGHUP.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM]
_BEFORE_THE_END = (94, 95, 96)  # RFC 4254, section 9: data, extended data and the end of both
_BROKEN = (OSError, EOFError, asyncssh.Error)
_Process = asyncssh.SSHServerProcess[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The SSH server of a machine; its connections arrive on `line`."""

    line: socket.socket
    host_key: asyncssh.SSHKey
    client_key: asyncssh.SSHKey
    environment: Mapping[str, str]

    def serve_forever(self) -> None:
        """Answer until the process is killed, which is how a machine ends."""
        asyncssh.set_log_level("CRITICAL")
        first = select.poll()  # most of a server's memory is for its connections: none, no memory
        first.register(self.line, select.POLLIN)
        first.poll()
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        children = _Children(asyncio.get_running_loop())

        async def handle(process: _Process) -> None:
            await _Command(process, children, dict(self.environment)).run()

        client = self.client_key.export_public_key().decode()
        options = asyncssh.SSHServerConnectionOptions(
            server_host_keys=[self.host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(client),
            server_factory=_Door,
            process_factory=handle,
            sftp_factory=True,
            encoding=None,
            line_editor=False,
            keepalive_interval=30,
            kex_algs=["curve25519-sha256", "curve25519-sha256@libssh.org"],
            compression_algs=["none"],
        )
        tasks: set[asyncio.Task[None]] = set()

        def take() -> None:
            while (connection := relay.received(self.line)) is not None:
                task = asyncio.create_task(_answer(connection, options))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        self.line.setblocking(False)
        asyncio.get_running_loop().add_reader(self.line, take)
        await asyncio.Event().wait()


async def _answer(connection: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
    with contextlib.suppress(*_BROKEN):  # the client left before it logged in
        await (await asyncssh.run_server(connection, options=options)).wait_closed()


class _Door(asyncssh.SSHServer):
    """What a connection is given when it comes in."""

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        conn._channels = _Channels()
        # As OpenSSH: Paramiko's `send_ignore`, which ducktape uses, leaves out a length (RFC 4253,
        # 11.2), and asyncssh 2.24.1 would end the connection.
        conn._packet_handlers = conn._packet_handlers | {MSG_IGNORE: lambda *_: None}


class _Channels(dict[int, Any]):
    """The channels of a connection, without its end where a client's last words come too late.

    A client may say that it has read so much, or send a byte, just as another thread of it ends the
    channel and overtakes that: Paramiko does. asyncssh takes such words for a breach of the
    protocol and ends the connection, with every command on it. OpenSSH ignores them.
    """

    def __getitem__(self, number: int) -> "_Channel":
        return _Channel(self.get(number))


@dataclass(frozen=True, slots=True)
class _Channel:
    """What takes a client's words on a channel; there may be none of that number any more."""

    channel: Any

    def log_received_packet(self, *_: Any) -> None:
        """Say nothing: the server has no log."""

    def process_packet(self, kind: int, *packet: Any) -> Any:
        """Return what asyncssh's channel does."""
        state = self.channel._recv_state if self.channel else "closed"
        if "close" in state or ("eof" in state and kind in _BEFORE_THE_END):
            return True
        return self.channel.process_packet(kind, *packet)


class _Children:
    """The processes of this machine; each one's end is a future. Also reaps orphans."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ends: dict[int, asyncio.Future[int]] = {}
        loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def spawn(
        self, argv: list[str], environment: dict[str, str], actions: list[Any]
    ) -> tuple[int, asyncio.Future[int]]:
        """Start `argv` in its own session; return its pid and a future for its wait status."""
        pid = os.posix_spawn(
            argv[0],
            argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigdef=_DEFAULT_SIGNALS,
            setsigmask=[],
        )
        self._ends[pid] = self._loop.create_future()
        return pid, self._ends[pid]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            end = self._ends.pop(pid, None)
            if end is not None and not end.done():
                end.set_result(status)


class _Command:
    """A client's command: its process, and the pumps between its pipes and the channel."""

    def __init__(self, process: _Process, children: _Children, environment: dict[str, str]) -> None:
        self._process = process
        self._children = children
        self._environment = environment

    async def run(self) -> None:
        command = self._process.command
        argv = ["/bin/sh", "-c", command] if command is not None else ["/bin/sh", "-i"]
        if self._process.term_type is not None:
            await self._run_on_terminal(argv, self._process.term_type)
        else:
            await self._run_on_pipes(argv)

    async def _run_on_pipes(self, argv: list[str]) -> None:
        their_in, our_in = os.pipe()
        our_out, their_out = os.pipe()
        our_err, their_err = os.pipe()
        theirs = (their_in, their_out, their_err)
        actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(theirs)]
        pid, end = self._children.spawn(argv, self._environment, actions)
        for fd in theirs:
            os.close(fd)
        leaving = asyncio.create_task(self._hang_up(pid, end))
        feed = asyncio.create_task(self._feed(our_in))
        await asyncio.gather(
            self._pump(our_out, self._process.stdout), self._pump(our_err, self._process.stderr)
        )
        with contextlib.suppress(*_BROKEN):
            self._process.stdout.write_eof()  # as sshd does, however long the process still takes
        await self._finish(end, feed)
        leaving.cancel()

    async def _run_on_terminal(self, argv: list[str], term: str) -> None:
        master, slave = os.openpty()
        _resize(master, self._process.term_size)
        name = os.ttyname(slave)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, name, os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
        ]
        environment = {**self._environment, "TERM": term}
        pid, end = self._children.spawn(argv, environment, actions)
        os.close(slave)
        leaving = asyncio.create_task(self._hang_up(pid, end))
        feed = asyncio.create_task(self._feed(os.dup(master), resize=master))
        await self._pump(master, self._process.stdout)
        await self._finish(end, feed)
        leaving.cancel()

    async def _finish(self, end: asyncio.Future[int], feed: asyncio.Task[None]) -> None:
        status = os.waitstatus_to_exitcode(await end)
        feed.cancel()
        with contextlib.suppress(*_BROKEN):  # it does nothing on a closed channel
            self._process.exit(status if status >= 0 else 128 - status)

    async def _hang_up(self, pid: int, end: asyncio.Future[int]) -> None:
        """Send SIGHUP when the client leaves; otherwise a silent command would run forever."""
        await self._process.wait_closed()
        if not end.done():
            os.killpg(pid, signal.SIGHUP)

    async def _feed(self, fd: int, resize: int | None = None) -> None:
        """Forward the channel's input to `fd`, and its end too, on which launchers rely."""
        pipe = os.fdopen(fd, "wb", buffering=0)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, pipe)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        try:
            while data := await self._read(resize):
                writer.write(data)
                await writer.drain()
        except _BROKEN:
            return
        finally:
            transport.close() if resize is None else transport.abort()

    async def _read(self, resize: int | None) -> bytes:
        while True:
            try:
                return await self._process.stdin.read(_CHUNK)
            except asyncssh.TerminalSizeChanged as change:
                if resize is not None:
                    _resize(resize, change.term_size)
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                continue

    async def _pump(self, fd: int, channel: asyncssh.SSHWriter[bytes]) -> None:
        """Forward output from `fd` to the client, as fast as the client reads it."""
        with contextlib.suppress(*_BROKEN):
            await output_pump.carry(fd, channel.write, channel.drain)


def _resize(terminal: int, size: tuple[int, int, int, int]) -> None:
    columns, rows, width, height = size
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, width, height))
