"""How a network fault changes a machine: plain commands, and those that undo them."""

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
    """Where a network fault takes place: on a machine, perhaps towards others.

    Attributes:
        find_link: asks the machine for the link that has its lab address.
        others: the lab addresses of the machines from which it is separated.
    """

    find_link: Callable[[], str]
    others: Sequence[str] = ()


def rules(chains: str) -> Change:
    """Return the change that adds chains of nftables, in a table with a unique name.

    The name is unique because two labs may use one host at once.
    """
    table = f"lab_{secrets.token_hex(8)}"
    return Change(
        do=[["nft", "-f", "-"]],
        undo=[["nft", "delete", "table", "inet", table]],
        input=f"table inet {table} {{\n{chains}\n}}\n",
    )


def queue(link: str, discipline: Sequence[str]) -> Change:
    """Return the change that puts another queueing discipline on a link."""
    place = ["dev", link, "root"]
    return Change(
        do=[["tc", "qdisc", "add", *place, *discipline]],
        undo=[["tc", "qdisc", "del", *place]],
        link=link,
    )
