"""How a network fault changes a machine: plain commands, and those that undo them."""

import itertools
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FINDING_LINKS = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
# The lab's own datagrams, by which it checks faults, begin so; they count as no traffic.
PROBE = b"lab prob"
_PASSED_PROBES = f"meta l4proto udp @th,64,64 0x{PROBE.hex()} accept"
# The mark of a packet that comes from one of the lab's own wires is the wire's number from here on.
# So wires on one link carry a packet in turn, and each only once.
_CARRIED, _LAST_CARRIED = 0x77000000, 0x77FFFFFF
_wires = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The commands that change a machine's network and undo that; `input` is for the first one.

    `link` is the link whose queueing discipline changes, if any; `counters` is the nftables table
    whose counters say what the change did, if any. `wire` are the properties of the lab's own wire,
    if the change needs one. `otherwise` is done instead if the kernel lacks what this change needs,
    or the link has another discipline already. `delay_s` is by how much it delays packets at most,
    if it lets all of them through in that time; else None.
    """

    do: Sequence[Sequence[str]]
    undo: Sequence[Sequence[str]]
    input: str = ""
    link: str = ""
    counters: str = ""
    wire: Mapping[str, Any] | None = None
    otherwise: "Change | None" = None
    delay_s: float | None = None

    def order(self) -> bytes:
        """Encode it as the line that the rule keeper reads."""
        order = {"do": self.do, "undo": self.undo, "input": self.input, **(self.wire or {})}
        return json.dumps(order).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a network fault takes place: on a machine, perhaps towards others.

    Attributes:
        find_link: asks the machine for the link that has its lab address.
        others: the lab addresses of the machines from which it is separated, or whose traffic with
            it is meant.
    """

    find_link: Callable[[], str]
    others: Sequence[str] = ()


def to(addresses: Sequence[str]) -> str:
    """Return the match of nftables for packets to these addresses, which are of one family."""
    return f"{_family(addresses)} daddr {{ {', '.join(addresses)} }}"


def from_(addresses: Sequence[str]) -> str:
    """Return the match of nftables for packets from these addresses."""
    return f"{_family(addresses)} saddr {{ {', '.join(addresses)} }}"


def passed_neighbours(addresses: Sequence[str]) -> Sequence[str]:
    """Return the rule that lets machines find each other's links, which is no traffic of theirs.

    For IPv4 that is ARP, which such rules don't concern anyway; for IPv6 it is part of ICMP.
    """
    return [_FINDING_LINKS] if _family(addresses) == "ip6" else []


def passed(addresses: Sequence[str]) -> Sequence[str]:
    """Return the rules for all that is no traffic of the machines' programs, and isn't counted."""
    return [*passed_neighbours(addresses), _PASSED_PROBES]


def _family(addresses: Sequence[str]) -> str:
    return "ip6" if any(":" in address for address in addresses) else "ip"


def rules(chains: str, *, egress: str = "", counting: bool = False) -> Change:
    """Return the change that adds chains of nftables, in a table with a unique name.

    `egress` are chains for that hook of a link, which only another family of tables has. If it is
    `counting`, the chains have named counters that prove what it did.

    The name is unique because two labs may use one host at once.
    """
    table = f"lab_{secrets.token_hex(8)}"
    tables = {"inet": chains} | ({"netdev": egress} if egress else {})
    return Change(
        do=[["nft", "-f", "-"]],
        undo=[["nft", "delete", "table", family, table] for family in tables],
        input="".join(
            f"table {family} {table} {{\n{text}\n}}\n" for family, text in tables.items()
        ),
        counters=table if counting else "",
    )


def own_wire(
    link: str, others: Sequence[str], *, delay_s: float | None = None, **order: Mapping[str, Any]
) -> Change:
    """Return the change that carries what is sent to others over a wire of the lab's own.

    A rule leads these packets into a pair of links, from whose end wire.py takes them; those that
    it sends bear a mark. The order is what that does: `wire`, or `zmtp`. A later wire carries what
    an earlier one has sent.
    """
    number = next(_wires) % (_LAST_CARRIED - _CARRIED)
    name = secrets.token_hex(4)
    inlet, outlet, table = f"lw{name}", f"lx{name}", f"lab_{secrets.token_hex(8)}"
    place = f"netdev {table} egress"
    rules = [
        f"add table netdev {table}",
        f'add chain {place} {{ type filter hook egress device "{link}" priority {number} ; }}',
        f"add rule {place} meta mark {_CARRIED + number}-{_LAST_CARRIED} accept",
    ]
    if others:
        rules += [f"add rule {place} {rule}" for rule in passed(others)]
        rules.append(f'add rule {place} {to(others)} fwd to "{inlet}"')
    return Change(
        do=[
            ["ip", "link", "add", inlet, "type", "veth", "peer", "name", outlet],
            ["ip", "link", "set", inlet, "up"],
            ["ip", "link", "set", outlet, "up"],
            ["nft", " ; ".join(rules)],
        ],
        undo=[["nft", "delete", "table", "netdev", table], ["ip", "link", "delete", inlet]],
        wire={**order, "link": link, "inlet": outlet, "mark": _CARRIED + number},
        delay_s=delay_s,
    )


def queue(
    link: str,
    discipline: Sequence[str],
    otherwise: Change | None = None,
    *,
    delay_s: float | None = None,
) -> Change:
    """Return the change that puts another queueing discipline on a link."""
    place = ["dev", link, "root"]
    return Change(
        do=[["tc", "qdisc", "add", *place, *discipline]],
        undo=[["tc", "qdisc", "del", *place]],
        link=link,
        otherwise=otherwise,
        delay_s=delay_s,
    )
