"""The lab without namespaces: machines are plain processes, each with a folder.

Each lab reserves a free block of 127.0.0.0/8, to all of which Linux answers: with 127.87.3.0/24,
192.168.0.161 becomes 127.87.3.161. Machines have no network and no power of their own here.
"""

from pushpull.machines.providers.base import Auto, Refused
from pushpull.machines.providers.embedded.provider import Embedded, PlainMachines


class Loopback(Embedded):
    """The provider `loopback`."""

    name = "loopback"
    summary = "plain processes on 127.x.y.z, where namespaces are forbidden; Linux"
    faults = PlainMachines.faults
    auto = Auto(
        order=30,
        loses="The machines are plain processes instead, without a network or power of their own",
    )
    isolated = False
    widest = 16

    def explain(self, step: str, number: int) -> Refused:
        return Refused(f"a machine could not be started: {step} (errno {number})")


PROVIDER = Loopback
