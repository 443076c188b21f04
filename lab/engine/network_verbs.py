"""What a scenario can do to the lab network: a method for each fault of networks.

Each returns what it injected, for `Lab.heal` to undo that alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any

from pushpull.core.faults.fault import Fault
from pushpull.core.faults.network import CUT_AFTER, CUT_AT, LOSE, PARTITION, RATE, REJECT, SLOW, Way
from pushpull.engine.build import Parts
from pushpull.engine.network_faults import Injected
from pushpull.engine.targets import Target


class NetworkVerbs(ABC):
    """The methods of a `Lab` that inject faults of networks, and heal them."""

    _parts: Parts

    @abstractmethod
    def inject(
        self, fault: Fault | str, target: Target, *, others: Target | None = None, **parameters: Any
    ) -> Injected:
        """Inject any fault."""

    def partition(
        self, these: Target, those: Target, *, one_way: bool = False, reject: bool = False
    ) -> Injected:
        """Separate machines on the lab network, until `heal`.

        With `one_way`, only what `these` send to `those` is blocked. Blocked packets vanish; with
        `reject` the sender gets an RST or an ICMP error.
        """
        return self.inject(REJECT if reject else PARTITION, these, others=those, one_way=one_way)

    def slow(
        self,
        where: Target,
        *,
        delay_ms: float = 0,
        jitter_ms: float = 0,
        loss_percent: float = 0,
        **more: Any,
    ) -> Injected:
        """Delay what a machine sends on the lab network, or lose or alter some of it by chance.

        This is the kernel's netem, or the lab's own wire if there is no netem.

        Arguments:
            where: the machines.
            delay_ms, jitter_ms: the delay, and by how much it varies to both sides.
            loss_percent: how much is lost.
            more: `rate_kbit`, `reorder_percent`, `duplicate_percent` and `corrupt_percent`; with a
                `seed`, the lab's own wire does the same to the same packet in each run.
        """
        always: dict[str, Any] = {"delay_ms": delay_ms, "jitter_ms": jitter_ms}
        return self.inject(SLOW, where, **always, loss_percent=loss_percent, **more)

    def limit_rate(self, where: Target, *, kbit: int) -> Injected:
        """Let a machine send at most `kbit` kilobits a second on the lab network."""
        return self.inject(RATE, where, kbit=kbit)

    def lose(
        self,
        where: Target,
        *,
        every: int = 0,
        packets: Collection[int] = (),
        way: Way = "received",
        others: Target | None = None,
    ) -> Injected:
        """Lose packets of a machine on the lab network by their number, until `heal`.

        The same ones are lost in each run; the event of the repair has the kernel's counters.

        Arguments:
            where: the machines; each counts for itself.
            every: lose each packet whose number it divides; the first packet from now on is 1.
            packets: or lose those with these numbers.
            way: `received`, `sent`, or `both`, each of which then counts for itself.
            others: the machines with which the packets are exchanged; by default all others.
        """
        return self.inject(
            LOSE, where, others=others, every=every, packets=sorted(packets), way=way
        )

    def cut_after(
        self, where: Target, *, bytes: int, way: Way = "both", others: Target | None = None
    ) -> Injected:
        """Let at most so many more bytes of IP packets through, and lose the rest, until `heal`.

        A packet that goes beyond that is lost as a whole, see docs/faults.md. `way` and `others`
        are as in `lose`, but both ways share the bytes.
        """
        return self.inject(CUT_AFTER, where, others=others, bytes=bytes, way=way)

    def cut_at(
        self,
        where: Target,
        *,
        message: int = 0,
        inside: int = 0,
        before: str = "",
        others: Target | None = None,
    ) -> Injected:
        """Lose all that a machine sends after a point of ZMTP, ZeroMQ's protocol, until `heal`.

        Only connections that are made afterwards are read; the event of the repair says whether it
        `struck`. Give one point:

        Arguments:
            where: the machines; each counts for itself.
            message: after this message, on all connections together; the first from now on is 1.
            inside: within this message: after its first frame, or in the middle of its only one.
            before: before a command with this name: `READY` is in the handshake, `PONG` the answer
                to a heartbeat.
            others: as in `lose`.
        """
        point: dict[str, Any] = {"message": message, "inside": inside, "before": before}
        return self.inject(CUT_AT, where, others=others, **point)

    def heal(self, *faults: Injected) -> None:
        """Undo faults of the network: those that `partition` or another method returned.

        Without an argument, all of them are undone, on all machines. One that is undone already
        stays so. Raises LabError for a fault of another scope.
        """
        self._parts.faults.network.heal(*faults)
