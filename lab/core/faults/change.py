"""What a fault of the network changes on a machine: plain commands, and what undoes them."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The commands that change a machine's network and undo that; `input` is for the first one.

    `link` is the link whose queueing discipline changes, if any.
    """

    do: Sequence[Sequence[str]]
    undo: Sequence[Sequence[str]]
    input: str = ""
    link: str = ""

    def order(self) -> bytes:
        """Encode it as the line that the rule keeper reads."""
        return json.dumps({"do": self.do, "undo": self.undo, "input": self.input}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a fault of the network is made: on a machine, perhaps against others.

    Attributes:
        find_link: asks the machine for the link that has its lab address.
        others: the lab addresses of the machines that it is kept from.
    """

    find_link: Callable[[], str]
    others: Sequence[str] = ()


def rules(chains: str) -> Change:
    """Return the change that adds chains of nftables, in a table that no other lab has.

    Two labs may use one host at once.
    """
    table = f"lab_{secrets.token_hex(8)}"
    return Change(
        do=[["nft", "-f", "-"]],
        undo=[["nft", "delete", "table", "inet", table]],
        input=f"table inet {table} {{\n{chains}\n}}\n",
    )


def queue(link: str, discipline: Sequence[str]) -> Change:
    """Return the change by which what leaves by a link passes another queueing discipline."""
    place = ["dev", link, "root"]
    return Change(
        do=[["tc", "qdisc", "add", *place, *discipline]],
        undo=[["tc", "qdisc", "del", *place]],
        link=link,
    )
