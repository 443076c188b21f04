"""Changes of the lab network on machines: made, seen in the kernel, tried by datagrams."""

import re
from collections.abc import Sequence

from pushpull.core.errors import LabError
from pushpull.core.faults.change import PROBE, Change
from pushpull.machines.connection import ANSWER_TIMEOUT_S, ssh_errors
from pushpull.machines.pool import at_once
from pushpull.machines.remote import Remote
from pushpull.machines.remote_process import ChangeLease

_SILENCE_S = 0.3  # without a datagram, if no fault delays them
# Prints a port and reads the number of senders. Then prints the addresses from which datagrams
# arrived, once there are that many, or after so many seconds without a datagram.
_LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.socket(family, socket.SOCK_DGRAM)
listener.bind((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
most, found = int(sys.stdin.readline()), set()
listener.settimeout(float(sys.argv[2]))
try:
    while len(found) < most:
        found.add(listener.recvfrom(16)[1][0])
except OSError:
    pass
print(*found, flush=True)
"""
# Sends datagrams from an address to places, each given by an address and a port.
_SEND = f"""
import socket, sys
PROBE = {PROBE!r}
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
sender = socket.socket(family, socket.SOCK_DGRAM)
sender.bind((sys.argv[1], 0))
for address, port in 3 * list(zip(sys.argv[2::2], sys.argv[3::2])):
    try:
        sender.sendto(PROBE, (address, int(port)))
    except OSError:
        pass  # refused at once, so it doesn't arrive
"""
# Prints whether a machine is there: if so, it accepts a connection or refuses it at once.
_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=0.5 + float(sys.argv[2]))
except ConnectionRefusedError:
    pass
except OSError:
    sys.exit(print("silence", flush=True))
print("there", flush=True)
"""


def link_of(remote: Remote) -> str:
    """Return the name of the link that has a machine's lab address."""
    answer = remote.run(["ip", "-o", "addr", "show", "to", remote.access.address]).decode().split()
    if len(answer) < 2:
        raise LabError(
            f"it has no link with the address {remote.access.address}, or no `ip` command",
            where=f"machine {remote.name}",
            hint="install iproute2 there, and give it that address: `ip addr` shows those it has",
        )
    return answer[1]


def hold(remote: Remote, folder: str, change: Change) -> ChangeLease:
    """Make a change that lasts until it is released; LabError if the machine refuses it."""
    if change.link:
        _require_default_queue(remote, change.link)
    return remote.hold(folder, change.order(), wire=change.wire is not None)


def possible(remote: Remote, folder: str, change: Change, trial: Change) -> Change:
    """Return a change, or what is done instead if it, or a trial of it, is impossible there."""
    if change.otherwise is None:
        return change
    try:
        if change.link:
            _require_default_queue(remote, change.link)
        hold(remote, folder, trial).release()
    except LabError:
        return change.otherwise
    return change


def _require_default_queue(remote: Remote, link: str) -> None:
    """Raise LabError if `tc` would replace a discipline that somebody set, which would be lost.

    Only the kernel's default has the handle 0; none can be set with that.
    """
    listed = remote.run(["tc", "qdisc", "show", "dev", link]).decode()
    if re.search(r"^qdisc \S+ (?!0:)\w+: root", listed, re.M):
        raise LabError(
            f"the link {link} already has a queueing discipline, which the lab won't replace",
            where=f"machine {remote.name}",
            hint=f"heal it before another fault; or, if it is yours: tc qdisc del dev {link} root",
        )


def try_out(remote: Remote, folder: str, trial: Change) -> None:
    """Do and undo a harmless change, or what is done instead; LabError if it refuses that."""
    hold(remote, folder, possible(remote, folder, trial, trial)).release()


def reaches(sender: Remote, receiver: Remote, late_s: float = 0.0) -> bool:
    """Return whether a datagram gets from one machine to another on the lab network."""
    return bool(reached([sender], [receiver], late_s))


def reached(
    senders: Sequence[Remote], receivers: Sequence[Remote], late_s: float = 0.0
) -> set[tuple[str, str]]:
    """Return the pairs (sender, receiver) of names between which a datagram gets through.

    All pairs are tried at once; a datagram may come `late_s` seconds late. Raises LabError if a
    machine can't take part.
    """
    listeners = at_once(
        {remote.name: remote for remote in receivers}, lambda one: _Listener(one, late_s)
    )
    try:
        places = [word for one in listeners.values() for word in (one.address, one.port)]
        at_once(
            {remote.name: remote for remote in senders},
            lambda s: s.run([s.access.python, "-ISc", _SEND, s.access.address, *places]),
        )
        arrived = at_once(listeners, lambda listener: listener.heard(len(senders)))
    finally:
        for listener in listeners.values():
            listener.close()
    names = {remote.access.address: remote.name for remote in senders}
    return {
        (names[address], receiver)
        for receiver, addresses in arrived.items()
        for address in addresses
        if address in names
    }


def is_there(asker: Remote, machine: Remote, late_s: float = 0.0) -> bool:
    """Return whether a machine answers another on the lab network, even with a refusal.

    The answer may come `late_s` seconds late.
    """
    argv = [asker.access.python, "-ISc", _KNOCK, machine.access.address, str(late_s)]
    return asker.run(argv).strip() == b"there"


def counters(remote: Remote, change: Change) -> dict[str, int]:
    """Return the packets by each counter of a change; none if the change isn't in effect."""
    listing = ["nft", "list", "counters", "table", "inet", change.counters]
    text = remote.run(remote.as_root(listing)).decode(errors="replace")
    found = re.findall(r"counter (\w+) \{\s+packets (\d+)", text)
    return {name: int(packets) for name, packets in found}


def stop(remote: Remote, change: Change) -> dict[str, int]:
    """End what a change does to packets; return the packets by each of its counters, if any."""
    if not change.counters:
        return {}
    remote.run(remote.as_root(["nft", "flush", "table", "inet", change.counters]))
    return counters(remote, change)


def has_rules(remote: Remote, change: Change) -> bool:
    """Return whether the kernel lists the rules of a change that has some."""
    listed = remote.run(remote.as_root(["nft", "list", *change.undo[0][2:]])).decode()
    return bool(listed.strip())


def is_queued(remote: Remote, change: Change) -> bool:
    """Return whether the kernel lists the queueing discipline, or the wire's rules, of a change."""
    if change.wire is not None:
        return has_rules(remote, change)
    kind = change.do[0][change.do[0].index("root") + 1]
    listed = remote.run(["tc", "qdisc", "show", "dev", change.link]).decode()
    return re.search(rf"^qdisc {re.escape(kind)} (?!0:)\w+: root", listed, re.M) is not None


class _Listener:
    """Listens on a machine for the datagrams of others."""

    def __init__(self, remote: Remote, late_s: float) -> None:
        self.address = remote.access.address
        silence_s = _SILENCE_S + late_s
        argv = [remote.access.python, "-ISc", _LISTEN, self.address, str(silence_s)]
        self._channel = remote.talk(argv)
        self._channel.settimeout(ANSWER_TIMEOUT_S + silence_s)
        self._answers = self._channel.makefile("r")
        self._access = remote.access
        with ssh_errors(remote.access, "try the lab network"):
            self.port = self._answers.readline().strip()
        if not self.port:
            raise LabError(
                f"it lacks its address {self.address} on the lab network",
                where=f"machine {remote.name}",
                hint="give it that address: `ip addr` there shows those it has",
            )

    def heard(self, most: int) -> list[str]:
        """Return the addresses whose datagrams arrived, at most `most`."""
        with ssh_errors(self._access, "try the lab network"):
            self._channel.sendall(b"%d\n" % most)
            words: list[str] = self._answers.readline().split()
        return words

    def close(self) -> None:
        self._channel.close()
