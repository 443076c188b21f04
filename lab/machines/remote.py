"""A connected machine of the lab: deploys files to it, starts processes there and signals them.

A run's folder on a machine has two folders. `files` is the user's, and programs run there; `agent`
is the lab's: its scripts, its own programs, and the launchers' notes. So no file of the user's can
replace one of the lab's, neither by its name nor as an imported module.

Output is read from the channels as bytes: Fabric's own `run` decodes it chunk by chunk, and checks
for the end of a command only every 10 ms.
"""

import contextlib
import posixpath
import queue
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from pushpull.core.clock import Moment
from pushpull.core.errors import LabError, MachineLost
from pushpull.core.vocabulary import AGENT, FILES
from pushpull.machines import deployment, tool_errors
from pushpull.machines.agent import (
    launcher,
    line_buffering,
    line_holder,
    packet_capture,
    rule_keeper,
    standstill,
    zmtp_cut,
)
from pushpull.machines.agent import wire as wire_script
from pushpull.machines.attached_command import attach
from pushpull.machines.connection import ANSWER_TIMEOUT_S, connect, ssh_errors
from pushpull.machines.deployment import DEPLOYED, Deployment
from pushpull.machines.providers.base import Access
from pushpull.machines.remote_process import (
    CHUNK,
    ChangeLease,
    Output,
    RemoteProcess,
    lost_ignored,
    send,
)
from pushpull.machines.unreached import is_it_up

if TYPE_CHECKING:
    import paramiko


class Remote:
    """One connected machine of the lab; LabError if it can't be reached."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self.name = access.machine
        self._connection = connect(access)
        self._work = access.work if access.work.startswith("/") else self._in_home(access.work)
        self._running: list[RemoteProcess | ChangeLease] = []
        self._spares: dict[str, paramiko.Channel] = {}
        self._agents: set[tuple[str, str]] = set()
        self._read: dict[str, str] = {}
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._pulse, daemon=True).start()

    def deploy(
        self,
        folder: str,
        files: Mapping[str, Path],
        programs: Mapping[str, Path] | None = None,
        reads: Sequence[str] = (),
    ) -> None:
        """Create a run's folder below `work`, and start a spare launcher there, see `warm_up`.

        Arguments:
            folder: the name of the run's folder.
            files: the user's.
            programs: the lab's own, by their paths below the run's folder.
            reads: paths of which `read_once` will be asked.
        """
        self._agents = {place for place in self._agents if place[0] != folder}
        self._agents.add((folder, posixpath.basename(DEPLOYED)))
        whole = Deployment(
            folder=self.path(folder), files=files, programs=programs or {}, reads=reads
        )
        with ssh_errors(self.access, "deploy the programs"), contextlib.ExitStack() as failed:
            channel = self._channel(whole.command(self.access.python))
            failed.callback(channel.close)
            channel.settimeout(ANSWER_TIMEOUT_S)
            self._read |= whole.send(channel, self.name)
            channel.settimeout(None)
            failed.pop_all()
        self._spares[folder] = channel

    def put(self, folder: str, files: Mapping[str, Path]) -> None:
        """Copy files (their names there, and their paths here) into a folder below `work`.

        A file that its owner may execute here is executable there.
        """
        with ssh_errors(self.access, "deploy the programs"):
            sftp = self._connection.sftp()
            sftp.get_channel().settimeout(ANSWER_TIMEOUT_S)
            deployment.put(sftp, self.path(folder), files)

    def make_executable(self, *place: str) -> None:
        """Make a deployed file executable."""
        with ssh_errors(self.access, "deploy the programs"):
            self._connection.sftp().chmod(self.path(*place), 0o700)

    def path(self, *names: str) -> str:
        """Return the absolute path on the machine for names below `work`."""
        return posixpath.join(self._work, *names)

    def _in_home(self, folder: str) -> str:
        """Return the absolute path, because programs and scripts start in different folders."""
        with ssh_errors(self.access, "find its user's home"):
            return posixpath.join(self._connection.sftp().normalize("."), folder)

    def read(self, path: str) -> str:
        """Return the text of a file on the machine, such as one in /proc."""
        with ssh_errors(self.access, f"read {path}"), self._connection.sftp().open(path) as file:
            text: bytes = file.read()
            return text.decode()

    def read_once(self, path: str) -> str:
        """Return the text of a file that stays as it is until the machine starts again."""
        if path not in self._read:
            self._read[path] = self.read(path)
        return self._read[path]

    def remove(self, folder: str) -> None:
        """Remove a folder that `deploy` created, with everything that programs left in it."""
        if (spare := self._spares.pop(folder, None)) is not None:
            with lost_ignored():
                spare.close()
        with contextlib.suppress(LabError):  # the machine may be gone, and its files with it
            self.run(["rm", "-rf", "--", self.path(folder)])

    def run(self, argv: Sequence[str]) -> bytes:
        """Run a short command, and return its output; LabError if it can't be run."""
        with ssh_errors(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            with contextlib.closing(channel):
                return b"".join(iter(lambda: channel.recv(CHUNK), b""))

    def as_root(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs a command as root, if the user can become root."""
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
        held: bool = False,
    ) -> "RemoteProcess":
        """Start a program under the launcher, as `name`, in the `files` of a deployed `folder`.

        `stdout` and `stderr` get each chunk of bytes as it arrives, each in its own thread, and an
        empty chunk at the end. Then `ended` gets the exit status (None if the machine or the
        connection was lost) and the UNIX time when it was known. `by_line` and `held`: see the
        launcher.
        """
        if by_line:
            self._agent(folder, line_buffering)
        if held:
            self._agent(folder, line_holder)
        notes = self._notes(folder, name)
        order = launcher.order(
            list(argv),
            dict(environment),
            self.path(folder, FILES),
            notes,
            by_line=by_line,
            held=held,
        )
        channel = self._take_launcher(folder)
        with lost_ignored():  # it ended at once: its output will say why
            send(channel, order)
        return self._follow(channel, stdout, stderr, ended)

    def notes(self, folder: str, name: str) -> dict[str, str]:
        """Return the notes of a program's launcher (see `launcher`); LabError if unreadable.

        They are empty if the launcher ran nothing.
        """
        said = self.run(["cat", self._notes(folder, name)]).decode(errors="backslashreplace")
        return dict(line.partition(" ")[::2] for line in said.splitlines())

    def warm_up(self, folder: str) -> None:
        """Start a spare launcher in a deployed `folder`, for a quick start of the next program."""
        if folder not in self._spares:
            with ssh_errors(self.access, "start a launcher"):
                self._spares[folder] = self._channel(self._agent(folder, launcher))

    def hold(self, folder: str, order: bytes, *, wire: bool = False) -> "ChangeLease":
        """Let a rule keeper change the machine's network, or a wire; LabError if it can't."""
        with ssh_errors(self.access, "change its network"):
            command = self._agent(folder, rule_keeper)
            if wire:
                self._agent(folder, zmtp_cut)
                command = self.as_root(self._agent(folder, wire_script))
            channel = self.talk(command)
            send(channel, order)
            answers = channel.makefile("r")
            answer = answers.readline().strip()
        word, _, at = answer.partition(" ")
        if word != "done":
            cause, hint = tool_errors.diagnose(answer)
            raise LabError(
                f"its network can't be changed: {cause}", where=f"machine {self.name}", hint=hint
            )
        lease = ChangeLease(channel, answers, _moment(at, self.access))
        with self._mutex:
            self._running.append(lease)
        return lease

    def sniff(self, folder: str, output: Output) -> "RemoteProcess":
        """Capture the packets of the lab link into `output`; LabError if that is impossible.

        The script may run as root under sudo, where no launcher of ours could end it: it ends by
        itself at the end of its standard input.
        """
        command = self.as_root(self._agent(folder, packet_capture, self.access.address))
        said = queue.SimpleQueue[bytes]()
        with ssh_errors(self.access, "capture packets"):
            channel = self._channel(command)
        process = self._follow(channel, output, said.put, lambda *_: said.put(b""))
        try:
            answer = said.get(timeout=ANSWER_TIMEOUT_S)
        except queue.Empty:
            process.end()
            raise MachineLost(
                f"can't capture packets: no answer for {ANSWER_TIMEOUT_S} s",
                where=f"machine {self.name}",
                hint=is_it_up(self.access),
            ) from None
        if answer != b"listening\n":
            process.end()
            raise LabError(
                f"can't capture packets: {answer.decode(errors='backslashreplace').strip()}",
                where=f"machine {self.name}",
                hint="that needs root, or sudo without a password, and a link with the lab address",
            )
        return process

    def stopped_at(self, folder: str, name: str, *, stopped: bool, timeout: float) -> Moment | None:
        """Return when all processes of a program were stopped (or running), by its machine's clock.

        None if that did not happen within `timeout` seconds.
        """
        number = int(signal.SIGSTOP if stopped else signal.SIGCONT)
        notes = self._notes(folder, name)
        answer = self.run(self._agent(folder, launcher, str(number), notes, str(timeout)))
        return _moment(answer.decode(errors="replace"), self.access) if answer.strip() else None

    def released_at(self, folder: str, name: str, *, timeout: float) -> Moment | None:
        """Return when a held program went on, by its machine's clock; None after `timeout` s."""
        notes = self._notes(folder, name)
        answer = self.run(self._agent(folder, line_holder, notes, str(timeout)))
        return _moment(answer.decode(errors="replace"), self.access) if answer.strip() else None

    def standstill(self, folder: str, name: str) -> str:
        """Return what keeps a program's processes from printing; see agent/standstill.py."""
        said = self.run(self._agent(folder, standstill, self._notes(folder, name)))
        return said.decode(errors="replace")

    def talk(self, argv: Sequence[str]) -> "paramiko.Channel":
        """Start a command and return a channel to exchange lines with; the caller closes it."""
        with ssh_errors(self.access, f"run {argv[0]}"):
            channel = self._channel(argv)
            channel.settimeout(ANSWER_TIMEOUT_S)
            return channel

    @contextlib.contextmanager
    def ask(
        self, folder: str, script: ModuleType, order: bytes
    ) -> Iterator["paramiko.ChannelFile"]:
        """Send an order to one of the lab's scripts there; yield its answer as a stream."""
        channel = self.talk(self._agent(folder, script))
        with contextlib.closing(channel):
            with ssh_errors(self.access, "ask it"):
                send(channel, order)
                channel.shutdown_write()
            yield channel.makefile("rb")

    def shell(self) -> None:
        """Open a shell on the machine, on the user's terminal."""
        with ssh_errors(self.access, "open a shell"):
            self._connection.shell()

    def call(self, command: str) -> int:
        """Run a command line in the user's shell there, see `attach`; return its exit status."""
        with ssh_errors(self.access, "run a command"):
            channel = self._connection.transport.open_session(timeout=ANSWER_TIMEOUT_S)
            channel.exec_command(command)
        if (status := attach(channel)) is None:
            raise MachineLost(
                "the connection broke", where=f"machine {self.name}", hint=is_it_up(self.access)
            )
        return status

    def close(self) -> None:
        """Close the connection; everything started over it then ends. May be called twice."""
        self._closed.set()
        with lost_ignored():  # it was cut off, and can't say goodbye
            self._connection.close()
        self._connection.transport.close()

    def _pulse(self) -> None:
        """Renew the launchers' leases periodically, see `launcher`."""
        while not self._closed.wait(launcher.PULSE_S):
            with self._mutex:
                self._running = [process for process in self._running if not process.ended]
                running = list(self._running)
            for spare in list(self._spares.values()):
                with lost_ignored():
                    send(spare, b"0\n")
            for process in running:
                process.signal(0)

    def _take_launcher(self, folder: str) -> "paramiko.Channel":
        """Return a launcher that waits for an order: the spare one, unless that has ended."""
        while True:
            self.warm_up(folder)
            spare = self._spares.pop(folder)
            if not spare.status_event.is_set():
                return spare

    def _follow(
        self,
        channel: "paramiko.Channel",
        stdout: Output,
        stderr: Output,
        ended: Callable[[int | None, float], None],
    ) -> "RemoteProcess":
        """Read a command's output, and renew its lease."""
        process = RemoteProcess(channel, stdout, stderr, ended)
        with self._mutex:
            self._running.append(process)
        return process

    def _agent(self, folder: str, script: ModuleType, *arguments: str) -> list[str]:
        """Return the command line for one of the lab's scripts; deploy it at its first use."""
        source = Path(str(script.__file__))
        place = (folder, source.name)
        if place not in self._agents:
            self.put(posixpath.join(folder, AGENT), {source.name: source})
            self._agents.add(place)
        return [self.access.python, "-IS", self.path(folder, AGENT, source.name), *arguments]

    def _notes(self, folder: str, name: str) -> str:
        return self.path(folder, AGENT, f"{name}.notes")

    def _channel(self, argv: Sequence[str]) -> "paramiko.Channel":
        transport: paramiko.Transport = self._connection.transport
        channel = transport.open_session(timeout=ANSWER_TIMEOUT_S)
        channel.exec_command("exec " + shlex.join(argv))
        return channel


def _moment(words: str, access: Access) -> Moment:
    with ssh_errors(access, "ask it for its time"):
        try:
            t, m = map(float, words.split())
        except ValueError:
            raise EOFError(f"it answered {words[:40]!r} instead of a time") from None
        return Moment(t, m)
