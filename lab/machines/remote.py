"""A machine of the lab, reached: files are deployed to it, processes started on it and signalled.

A run's folder on a machine has two folders. `files` is the user's, and where programs run; `agent`
is the lab's: its scripts, its own programs, and what the launchers note. So no file of the user's
can take the place of one of the lab's, by its name or as a module that is imported.

Output is taken from the channels as bytes: Fabric's own `run` decodes it chunk by chunk, and looks
for the end of a command every 10 ms only.
"""

import contextlib
import os
import posixpath
import queue
import shlex
import signal
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import paramiko

from lab.core.clock import Moment
from lab.core.errors import LabError, MachineLost
from lab.core.os_errors import file_errors
from lab.core.vocabulary import AGENT, FILES
from lab.machines import tool_errors
from lab.machines.agent import launcher, packet_capture, rule_keeper
from lab.machines.connection import ANSWER_TIMEOUT_S, connect, explained
from lab.machines.providers.base import Access
from lab.machines.remote_process import CHUNK, LOST, ChangeLease, Output, RemoteProcess, send

DEPLOYED = "agent/launcher.py"  # written after the user's files, and before any program starts


class Remote:
    """One machine of the lab, connected. LabError where it can't be."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.name = access.machine
        self._connection = connect(access)
        self._work = access.work if access.work.startswith("/") else self._in_home(access.work)
        self._running: list[RemoteProcess | ChangeLease] = []
        self._spares: dict[str, paramiko.Channel] = {}
        self._agents: set[tuple[str, str]] = set()
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._pulse, daemon=True).start()

    def deploy(self, folder: str, files: Mapping[str, Path]) -> None:
        """Make a run's folder below `work`, with the user's `files` and the launcher."""
        self._agents = {place for place in self._agents if place[0] != folder}
        self.put(posixpath.join(folder, FILES), files)
        self._agent(folder, launcher)

    def put(self, folder: str, files: Mapping[str, Path]) -> None:
        """Put files (their names there, and their paths here) into a folder below `work`.

        One that its owner may execute here may be executed there.
        """
        target = self.path(folder)
        with explained(self.access, "deploy the programs"):
            sftp = self._connection.sftp()
            sftp.get_channel().settimeout(ANSWER_TIMEOUT_S)
            for name in sorted({posixpath.dirname(name) for name in files} | {""}):
                _make_folders(sftp, posixpath.join(target, name).rstrip("/"))
            for name, path in files.items():
                with file_errors(path, "read"):
                    file = path.open("rb")
                with file:
                    sftp.putfo(file, posixpath.join(target, name), confirm=False)
                    if os.fstat(file.fileno()).st_mode & stat.S_IXUSR:
                        sftp.chmod(posixpath.join(target, name), 0o700)

    def make_executable(self, *place: str) -> None:
        """Let a deployed file be executed."""
        with explained(self.access, "deploy the programs"):
            self._connection.sftp().chmod(self.path(*place), 0o700)

    def path(self, *names: str) -> str:
        """Return the path on the machine of what is called so below `work`."""
        return posixpath.join(self._work, *names)

    def _in_home(self, folder: str) -> str:
        """Return the whole path: programs and the lab's scripts start in other folders."""
        with explained(self.access, "find its user's home"):
            return posixpath.join(self._connection.sftp().normalize("."), folder)

    def read(self, path: str) -> str:
        """Return the text of a file of the machine, such as one of /proc."""
        with explained(self.access, f"read {path}"), self._connection.sftp().open(path) as file:
            text: bytes = file.read()
            return text.decode()

    def remove(self, folder: str) -> None:
        """Remove a folder that `deploy` made, with all that programs left in it."""
        if (spare := self._spares.pop(folder, None)) is not None:
            with contextlib.suppress(*LOST):
                spare.close()
        with contextlib.suppress(LabError):  # the machine may be gone, and its files with it
            self.run(["rm", "-rf", "--", self.path(folder)])

    def run(self, argv: Sequence[str]) -> bytes:
        """Run a short command, and return what it prints; LabError when it can't be run."""
        with explained(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            with contextlib.closing(channel):
                return b"".join(iter(lambda: channel.recv(CHUNK), b""))

    def as_root(self, argv: Sequence[str]) -> list[str]:
        """Return how to call a command with root's rights there, if its user can get them."""
        is_root = self.run(["id", "-u"]).strip() == b"0"
        return [*argv] if is_root else ["sudo", "-n", *argv]

    def start(
        self,
        folder: str,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
        by_line: bool = False,
    ) -> "RemoteProcess":
        """Start a program under the launcher, as `name`, in the `files` of a deployed `folder`.

        `stdout` and `stderr` get each chunk of bytes as it comes, from threads of their own, and
        an empty one at the end; then `ended` gets the exit status, None where the machine or the
        way to it was lost, and the UNIX time when that was known. `by_line`: see the launcher.
        """
        notes = self._notes(folder, name)
        order = launcher.order(
            list(argv), dict(environment), self.path(folder, FILES), notes, by_line=by_line
        )
        channel = self._take_launcher(folder)
        with contextlib.suppress(*LOST):  # it ended at once: what it printed will tell
            send(channel, order)
        return self._follow(channel, stdout, stderr, ended)

    def notes(self, folder: str, name: str) -> dict[str, str]:
        """Return what a program's launcher has noted, see `launcher`; LabError if none can be read.

        It is empty where the launcher ran nothing.
        """
        said = self.run(["cat", self._notes(folder, name)]).decode(errors="backslashreplace")
        return dict(line.partition(" ")[::2] for line in said.splitlines())

    def warm_up(self, folder: str) -> None:
        """Have a launcher ready in a deployed `folder`, so that the next start is a quick one."""
        if folder not in self._spares:
            with explained(self.access, "start a launcher"):
                self._spares[folder] = self._channel(self._agent(folder, launcher))

    def hold(self, folder: str, order: bytes) -> "ChangeLease":
        """Let a guard make a change of the machine's network, see `guard`; LabError if it can't."""
        with explained(self.access, "change its network"):
            channel = self.talk(self._agent(folder, rule_keeper))
            send(channel, order)
            answer = channel.makefile("r").readline().strip()
        word, _, at = answer.partition(" ")
        if word != "done":
            cause, cure = tool_errors.explained(answer)
            raise LabError(
                f"its network can't be changed: {cause}", where=f"machine {self.name}", cure=cure
            )
        hold = ChangeLease(channel, _moment(at, self.access))
        with self._mutex:
            self._running.append(hold)
        return hold

    def sniff(self, folder: str, output: Output) -> "RemoteProcess":
        """Give `output` the packets of the lab link, see `sniffer`; LabError where it can't.

        The sniffer may run as root under sudo, which no launcher of ours could end: it ends by
        itself when its standard input does.
        """
        command = self.as_root(self._agent(folder, packet_capture, self.access.address))
        said = queue.SimpleQueue[bytes]()
        with explained(self.access, "capture packets"):
            channel = self._channel(command)
        process = self._follow(channel, output, said.put, lambda *_: said.put(b""))
        try:
            answer = said.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            process.end()
            raise MachineLost(
                f"can't capture packets: it said nothing for {ANSWER_TIMEOUT_S} s",
                where=f"machine {self.name}",
                cure="is the machine up (`fab status`), and the way to it?",
            ) from None
        if answer != b"listening\n":
            process.end()
            raise LabError(
                f"can't capture packets: {answer.decode(errors='backslashreplace').strip()}",
                where=f"machine {self.name}",
                cure="it takes root, or sudo without a password, and a link with the lab address",
            )
        return process

    def stopped_at(self, folder: str, name: str, *, stopped: bool, timeout: float) -> Moment | None:
        """Return when all processes of a started program were stopped, or none, by its machine.

        None when it didn't come to it in `timeout` seconds.
        """
        number = int(signal.SIGSTOP if stopped else signal.SIGCONT)
        notes = self._notes(folder, name)
        answer = self.run(self._agent(folder, launcher, str(number), notes, str(timeout)))
        return _moment(answer.decode(errors="replace"), self.access) if answer.strip() else None

    def talk(self, argv: Sequence[str]) -> paramiko.Channel:
        """Start a command to exchange lines with; the caller closes the channel."""
        with explained(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            return channel

    @contextlib.contextmanager
    def ask(self, folder: str, script: ModuleType, order: bytes) -> Iterator[paramiko.ChannelFile]:
        """Give an order to one of the lab's scripts there; yield the stream of its answer."""
        channel = self.talk(self._agent(folder, script))
        with contextlib.closing(channel):
            with explained(self.access, "ask it"):
                send(channel, order)
                channel.shutdown_write()
            yield channel.makefile("rb")

    def shell(self) -> None:
        """Give the user a shell on the machine, on their terminal."""
        with explained(self.access, "open a shell"):
            self._connection.shell()

    def close(self) -> None:
        """Close the connection; what was started over it ends with it. May be called twice."""
        self._closed.set()
        with contextlib.suppress(*LOST):  # it was cut off, and can't say goodbye
            self._connection.close()
        self._connection.transport.close()

    def _pulse(self) -> None:
        """Renew the launchers' leases, see `launcher`."""
        while not self._closed.wait(launcher.PULSE_S):
            with self._mutex:
                self._running = [process for process in self._running if not process.ended]
                running = list(self._running)
            for spare in list(self._spares.values()):
                with contextlib.suppress(*LOST):
                    send(spare, b"0\n")
            for process in running:
                process.signal(0)

    def _take_launcher(self, folder: str) -> paramiko.Channel:
        """Return a launcher that waits for its order: the spare one, unless that has ended."""
        while True:
            self.warm_up(folder)
            spare = self._spares.pop(folder)
            if not spare.status_event.is_set():
                return spare

    def _follow(
        self,
        channel: paramiko.Channel,
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
    ) -> "RemoteProcess":
        """Take what a command prints, and speak to it, so that it knows that we're there."""
        process = RemoteProcess(channel, stdout, stderr, ended)
        with self._mutex:
            self._running.append(process)
        return process

    def _agent(self, folder: str, script: ModuleType, *arguments: str) -> list[str]:
        """Return how to call one of the lab's scripts; it is put there when it's first needed."""
        source = Path(str(script.__file__))
        place = (folder, source.name)
        if place not in self._agents:
            self.put(posixpath.join(folder, AGENT), {source.name: source})
            self._agents.add(place)
        return [self.access.python, "-IS", self.path(folder, AGENT, source.name), *arguments]

    def _notes(self, folder: str, name: str) -> str:
        return self.path(folder, AGENT, f"{name}.notes")

    def _channel(self, argv: Sequence[str]) -> paramiko.Channel:
        transport: paramiko.Transport = self._connection.transport
        channel = transport.open_session(timeout=ANSWER_TIMEOUT_S)
        channel.exec_command("exec " + shlex.join(argv))
        return channel


def _moment(words: str, access: Access) -> Moment:
    with explained(access, "ask it for its time"):
        try:
            t, m = map(float, words.split())
        except ValueError:
            raise EOFError(f"it says {words[:40]!r} for a time") from None
        return Moment(t, m)


def _make_folders(sftp: paramiko.SFTPClient, path: str) -> None:
    """Make `path` and what is missing above it; the user's alone, as programs may print secrets."""
    with contextlib.suppress(OSError):  # it is there; else what follows fails, and says why
        try:
            sftp.mkdir(path, 0o700)
        except FileNotFoundError:
            if above := posixpath.dirname(path):
                _make_folders(sftp, above)
                sftp.mkdir(path, 0o700)
