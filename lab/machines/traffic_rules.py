"""Faults of the lab network between machines: what is done on a machine, by nft and tc.

Rules name lab addresses alone, so a control connection, which comes from elsewhere, is never cut.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lab.core.errors import LabError
from lab.machines.connection import explained
from lab.machines.pool import at_once
from lab.machines.remote import Remote
from lab.machines.remote_process import ChangeLease

# Prints a port; then, told how many senders there are, the addresses from which datagrams came
# until there were that many, or none for 0.3 s.
_LISTEN = """
import socket, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind((sys.argv[1], 0))
print(listener.getsockname()[1], flush=True)
most, came = int(sys.stdin.readline()), set()
listener.settimeout(0.3)
try:
    while len(came) < most:
        came.add(listener.recvfrom(16)[1][0])
except OSError:
    pass
print(*came, flush=True)
"""
# Sends datagrams from an address to places, each an address and a port.
_SEND = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.bind((sys.argv[1], 0))
for address, port in 3 * list(zip(sys.argv[2::2], sys.argv[3::2])):
    try:
        sender.sendto(b"probe", (address, int(port)))
    except OSError:
        pass  # refused at once, which is no arrival either
"""
# Prints whether a machine is there: one that is accepts a connection or refuses it at once.
_KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=0.5)
except ConnectionRefusedError:
    pass
except OSError:
    sys.exit(print("silence", flush=True))
print("there", flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What changes a machine's network and what undoes it: commands, the first one's input.

    `link` is the one whose queueing discipline is to be another.
    """

    do: Sequence[Sequence[str]]
    undo: Sequence[Sequence[str]]
    input: str = ""
    link: str = ""

    def order(self) -> bytes:
        """Return it as the line that `guard` reads."""
        return json.dumps({"do": self.do, "undo": self.undo, "input": self.input}).encode() + b"\n"


def separation(others: Sequence[str], *, incoming: bool, reject: bool) -> Change:
    """Return the change that keeps a machine from the addresses `others`.

    What it sends to them is lost, and with `incoming` what they send to it too. With `reject` TCP
    is answered by RST and the rest by ICMP, where otherwise there is silence.
    """
    table = _new_table()
    addresses = "{ " + ", ".join(others) + " }"
    verdicts = ["meta l4proto tcp reject with tcp reset", "reject"] if reject else ["drop"]
    chains = [("output", f"ip daddr {addresses}")]
    # The answers to what comes in go out through the same rules.
    passed = ["tcp flags rst accept", "meta l4proto icmp accept"] if reject else []
    chains += [("input", f"ip saddr {addresses}")] if incoming else []
    rules = [f"table inet {table} {{"]
    for hook, match in chains:
        rules.append(f"chain {hook} {{ type filter hook {hook} priority 0; policy accept;")
        rules += [
            f"{match} {verdict}" for verdict in [*(passed if hook == "output" else []), *verdicts]
        ]
        rules.append("}")
    text = "\n".join([*rules, "}"]) + "\n"
    undo = [["nft", "delete", "table", "inet", table]]
    return Change(do=[["nft", "-f", "-"]], undo=undo, input=text)


def slowness(link: str, *, delay_ms: float, jitter_ms: float, loss_percent: float) -> Change:
    """Return the change by which what leaves by `link` is late, or lost at random."""
    how = ["delay", f"{delay_ms}ms", f"{jitter_ms}ms", "loss", f"{loss_percent}%"]
    return _queue(link, ["netem", *how])


def rate(link: str, *, kbit: int) -> Change:
    """Return the change by which at most `kbit` kilobits a second leave by `link`."""
    return _queue(link, ["tbf", "rate", f"{kbit}kbit", "burst", "16kb", "latency", "400ms"])


def link_of(remote: Remote) -> str:
    """Return the name of the link that has a machine's lab address."""
    answer = remote.run(["ip", "-o", "addr", "show", "to", remote.access.address]).decode().split()
    if len(answer) < 2:
        raise LabError(
            f"no link with the address {remote.access.address}, or no `ip` to ask for it",
            where=f"machine {remote.name}",
            hint="install iproute2 there; `fab check` tells more",
        )
    return answer[1]


def _queue(link: str, discipline: list[str]) -> Change:
    place = ["dev", link, "root"]
    return Change(
        do=[["tc", "qdisc", "add", *place, *discipline]],
        undo=[["tc", "qdisc", "del", *place]],
        link=link,
    )


def _new_table() -> str:
    """Return a name that no other lab gives a table; two labs may use one host at once."""
    return f"lab_{secrets.token_hex(8)}"


def _harmless_table() -> Change:
    table = _new_table()
    return Change(
        do=[["nft", "-f", "-"]],
        undo=[["nft", "delete", "table", "inet", table]],
        input=f"table inet {table} {{ chain output {{ type filter hook output priority 0; }}; }}\n",
    )


# What shows on a machine that a fault can be done there: the same tool and kernel part, harmless.
TRIALS: Mapping[str, Callable[[], Change]] = {
    "partition": _harmless_table,
    "slow": lambda: _queue("lo", ["netem", "delay", "0ms"]),
    "rate": lambda: _queue("lo", ["tbf", "rate", "1gbit", "burst", "1mb", "latency", "1ms"]),
}


def hold(remote: Remote, folder: str, change: Change) -> ChangeLease:
    """Make a change from a deployed folder, until it's released; LabError where it's refused."""
    if change.link:
        _require_default_queue(remote, change.link)
    return remote.hold(folder, change.order())


def _require_default_queue(remote: Remote, link: str) -> None:
    """Raise LabError where `tc` would replace a discipline that somebody set, never to be back.

    The kernel's own has the handle 0; none can be set with that.
    """
    told = remote.run(["tc", "qdisc", "show", "dev", link]).decode()
    if re.search(r"^qdisc \S+ (?!0:)\w+: root", told, re.M):
        raise LabError(
            f"the link {link} has a queueing discipline already, which is left alone",
            where=f"machine {remote.name}",
            hint=f"heal it before another fault; or, if it's yours: tc qdisc del dev {link} root",
        )


def try_out(remote: Remote, folder: str, fault: str) -> None:
    """Do and undo the trial of a fault from a deployed folder; LabError where it's refused."""
    hold(remote, folder, TRIALS[fault]()).release()


def reaches(sender: Remote, receiver: Remote) -> bool:
    """Tell whether a datagram gets from one machine to another on the lab network."""
    return bool(reached([sender], [receiver]))


def reached(senders: Sequence[Remote], receivers: Sequence[Remote]) -> set[tuple[str, str]]:
    """Return the pairs of a sender's and a receiver's name between which a datagram gets through.

    All pairs are tried, at once. Raises LabError where a machine can't take part.
    """
    listeners = at_once({remote.name: remote for remote in receivers}, _Listener)
    try:
        places = [word for one in listeners.values() for word in (one.address, one.port)]
        at_once(
            {remote.name: remote for remote in senders},
            lambda s: s.run([s.access.python, "-ISc", _SEND, s.access.address, *places]),
        )
        came = at_once(listeners, lambda listener: listener.heard(len(senders)))
    finally:
        for listener in listeners.values():
            listener.close()
    names = {remote.access.address: remote.name for remote in senders}
    return {
        (names[address], receiver)
        for receiver, addresses in came.items()
        for address in addresses
        if address in names
    }


def is_there(asker: Remote, machine: Remote) -> bool:
    """Tell whether a machine answers another on the lab network, be it by a refusal."""
    argv = [asker.access.python, "-ISc", _KNOCK, machine.access.address]
    return asker.run(argv).strip() == b"there"


def is_queued(remote: Remote, change: Change) -> bool:
    """Tell whether the kernel lists the queueing discipline of a change."""
    kind = change.do[0][change.do[0].index("root") + 1]
    told = remote.run(["tc", "qdisc", "show", "dev", change.link]).decode()
    return re.search(rf"^qdisc {re.escape(kind)} (?!0:)\w+: root", told, re.M) is not None


class _Listener:
    """A machine that listens for the datagrams of others."""

    def __init__(self, remote: Remote) -> None:
        self.address = remote.access.address
        self._channel = remote.talk([remote.access.python, "-ISc", _LISTEN, self.address])
        self._answers = self._channel.makefile("r")
        self._access = remote.access
        with explained(remote.access, "try the lab network"):
            self.port = self._answers.readline().strip()
        if not self.port:
            raise LabError(
                f"no address {self.address} on it to try the lab network with",
                where=f"machine {remote.name}",
                hint="`fab check` tells more",
            )

    def heard(self, most: int) -> list[str]:
        """Return the addresses of those that came through, at most so many."""
        with explained(self._access, "try the lab network"):
            self._channel.sendall(b"%d\n" % most)
            words: list[str] = self._answers.readline().split()
        return words

    def close(self) -> None:
        self._channel.close()
