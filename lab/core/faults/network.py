"""Faults of the lab network, injected on the machines themselves with nft and tc.

Rules name only lab addresses, so they never cut a control connection, which comes from elsewhere.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Literal

from pushpull.core.errors import LabError
from pushpull.core.faults.change import (
    Change,
    Spot,
    from_,
    own_wire,
    passed,
    passed_neighbours,
    queue,
    rules,
    to,
)
from pushpull.core.faults.fault import Check, Fault, Scope

# The direction of packets, as the machine sees it.
Way = Literal["sent", "received", "both"]
_LOST = 0x6C6F7374  # the mark of a packet that is to be lost
_MOST = 2**31  # packets that one fault can tell apart
_HARMLESS = "chain output { type filter hook output priority 0; }"


def separation(spot: Spot, *, one_way: bool = False, reject: bool = False) -> Change:
    """Return the change that separates a machine from others.

    What it sends to them is lost and, unless `one_way`, also what they send to it. With `reject`,
    TCP gets an RST in answer and other protocols an ICMP error; otherwise there is no answer.
    """
    verdicts = ["meta l4proto tcp reject with tcp reset", "reject"] if reject else ["drop"]
    # Answers to incoming packets pass through the same rules.
    answers = ["tcp flags rst accept", "meta l4proto { icmp, icmpv6 } accept"] if reject else []
    found = passed_neighbours(spot.others)
    out = [*found, *answers, *(f"{to(spot.others)} {verdict}" for verdict in verdicts)]
    # The answers to what it sends come by its own loopback, in the name of the others.
    own = ["iif lo accept"] if reject else []
    back = [*found, *own, *(f"{from_(spot.others)} {verdict}" for verdict in verdicts)]
    chains = [_chain("output", out), *([] if one_way else [_chain("input", back)])]
    return rules("\n".join(chains))


def slowness(
    spot: Spot,
    *,
    delay_ms: float = 0,
    jitter_ms: float = 0,
    loss_percent: float = 0,
    rate_kbit: float = 0,
    reorder_percent: float = 0,
    duplicate_percent: float = 0,
    corrupt_percent: float = 0,
    seed: int | None = None,
) -> Change:
    """Return the change that delays what a machine sends, or loses or alters it by chance.

    This is the kernel's netem, or the lab's own wire if the kernel has none, or with a `seed`.
    """
    link = spot.find_link()
    properties = {
        "delay": delay_ms / 1000,
        "jitter": jitter_ms / 1000,
        "rate": rate_kbit * 1000 / 8,
        "loss": loss_percent / 100,
        "reorder": reorder_percent / 100,
        "duplicate": duplicate_percent / 100,
        "corrupt": corrupt_percent / 100,
        "seed": 0 if seed is None else seed,
    }
    is_sure = not (loss_percent or corrupt_percent or rate_kbit)
    late_s = (delay_ms + jitter_ms) / 1000 if is_sure else None
    wire = own_wire(link, spot.others, delay_s=late_s, wire=properties)
    how = ["delay", f"{delay_ms}ms", f"{jitter_ms}ms", "loss", f"{loss_percent}%"]
    how += ["duplicate", f"{duplicate_percent}%", "corrupt", f"{corrupt_percent}%"]
    how += ["reorder", f"{reorder_percent}%"] if reorder_percent else []
    how += ["rate", f"{rate_kbit}kbit"] if rate_kbit else []
    netem = queue(link, ["netem", *how], otherwise=wire, delay_s=late_s)
    return wire if seed is not None else netem


def rate(spot: Spot, *, kbit: int) -> Change:
    """Return the change that limits what a machine sends to `kbit` kilobits a second.

    This is the kernel's tbf, or the lab's own wire if the link has a queueing discipline already.
    """
    how = ["rate", f"{kbit}kbit", "burst", "16kb", "latency", "400ms"]
    return queue(spot.find_link(), ["tbf", *how], otherwise=slowness(spot, rate_kbit=kbit, seed=0))


def loss(
    spot: Spot, *, every: int = 0, packets: Collection[int] = (), way: Way = "received"
) -> Change:
    """Return the change that loses packets by their number; the first one from now on is 1.

    Each way counts for itself. Raises LabError if `every` and `packets` don't say which ones.
    """
    if bool(every) == bool(packets) or every < 0 or not all(0 < n < _MOST for n in packets):
        raise LabError(
            f"every={every}, packets={sorted(packets)} doesn't say which packets to lose",
            hint="give every=10 for each tenth, or packets={3, 4}; the first is 1",
        )
    # `numgen inc` counts from 0, see nft(8).
    numbers = f"mod {every} {every - 1}" if every else f"mod {_MOST} {_from_zero(packets)}"
    return _counting(spot, way, f"numgen inc {numbers}")


def cut_after(spot: Spot, *, bytes: int, way: Way = "both") -> Change:
    """Return the change that loses all packets after those that have so many bytes together.

    That is the size of IP packets; both ways share the number.
    """
    if bytes < 1:
        raise LabError(f"bytes={bytes} is no amount", hint="give the bytes that still get through")
    return _counting(spot, way, 'quota name "allowed"', f"quota allowed {{ over {bytes} bytes }}")


def cut_at(spot: Spot, *, message: int = 0, inside: int = 0, before: str = "") -> Change:
    """Return the change that loses all that is sent after a point of the protocol ZMTP.

    Raises LabError if not just one point is given.
    """
    points = {name: at for name, at in vars().items() if name != "spot" and at}
    if len(points) != 1 or message < 0 or inside < 0:
        raise LabError(
            f"message={message}, inside={inside}, before={before!r} isn't one point",
            hint="give message=7 for after the 7th message, inside=7 for within it, or before="
            "'READY', or another command, for before that",
        )
    return own_wire(spot.find_link(), spot.others, zmtp=points)


def _counting(spot: Spot, way: Way, condition: str, declared: str = "") -> Change:
    """Return the change that loses packets on a condition, and counts them and all others."""
    lines, egress, found = [declared], "", passed(spot.others)
    if way in ("sent", "both"):
        # Dropped there, a packet would be an error for the program that sends it.
        mark = f"meta mark set {_LOST}"
        lines += _counted("output", "sent", found, to(spot.others), condition, mark)
        egress = _chain("egress", [f"meta mark {_LOST} drop"], device=spot.find_link())
    if way in ("received", "both"):
        lines += _counted("input", "received", found, from_(spot.others), condition, "drop")
    if len(lines) == 1:
        raise LabError(f"way={way!r} is no way", hint="give 'sent', 'received' or 'both'")
    return rules("\n".join(lines), egress=egress, counting=True)


def _counted(
    hook: str, side: str, passed: Sequence[str], traffic: str, condition: str, lose: str
) -> list[str]:
    """Return a chain that loses some packets of this traffic, and counts them and all of it.

    What `passed` lets through counts as none of it.
    """
    count = f"{traffic} counter name seen_{side}"
    rule = f"{traffic} {condition} counter name lost_{side} {lose}"
    return [
        f"counter seen_{side} {{ }}",
        f"counter lost_{side} {{ }}",
        _chain(hook, [*passed, count, rule]),
    ]


def _from_zero(numbers: Collection[int]) -> str:
    return _listed(number - 1 for number in sorted(numbers))


def _listed(members: Iterable[object]) -> str:
    return "{ " + ", ".join(map(str, members)) + " }"


def _chain(hook: str, lines: Sequence[str], *, device: str = "") -> str:
    place = f'device "{device}" ' if device else ""
    priority = -1 if device else 0  # before the lab's own wire takes a packet
    head = f"chain {hook} {{ type filter hook {hook} {place}priority {priority}; policy accept;"
    return "\n".join([head, *lines, "}"])


HEAL = Fault(
    name="heal",
    kind="repair",
    scope=Scope.NETWORK,
    words="had its network healed",
    check=Check.UNDONE,
)
PARTITION = Fault(
    name="partition",
    scope=Scope.NETWORK,
    words="was cut off",
    check=Check.APART,
    repair=HEAL,
    between=True,
    change=separation,
    trial=lambda: rules(_HARMLESS),
)
REJECT = Fault(
    name="reject",
    scope=Scope.NETWORK,
    words="was cut off by a firewall that answers",
    check=Check.APART,
    repair=HEAL,
    between=True,
    change=partial(separation, reject=True),
    trial=lambda: rules(_HARMLESS),
)
SLOW = Fault(
    name="slow",
    scope=Scope.NETWORK,
    words="had its network slowed down",
    check=Check.QUEUED,
    repair=HEAL,
    change=slowness,
    trial=lambda: slowness(Spot(lambda: "lo")),
)
RATE = Fault(
    name="rate",
    scope=Scope.NETWORK,
    words="had its network rate limited",
    check=Check.QUEUED,
    repair=HEAL,
    change=rate,
    trial=lambda: queue("lo", ["tbf", "rate", "1gbit", "burst", "1mb", "latency", "1ms"]),
)
LOSE = Fault(
    name="lose",
    scope=Scope.NETWORK,
    words="had packets dropped by number",
    check=Check.COUNTED,
    repair=HEAL,
    selective=True,
    change=loss,
    trial=lambda: loss(Spot(lambda: "lo", ["127.0.0.1"]), packets={_MOST - 1}),
)
CUT_AFTER = Fault(
    name="cut_after",
    scope=Scope.NETWORK,
    words="had its network cut after a number of bytes",
    check=Check.COUNTED,
    repair=HEAL,
    selective=True,
    change=cut_after,
    trial=lambda: cut_after(Spot(lambda: "lo", ["127.0.0.1"]), bytes=2**62),
)
CUT_AT = Fault(
    name="cut_at",
    scope=Scope.NETWORK,
    words="had its network cut at a point of the protocol",
    check=Check.QUEUED,
    repair=HEAL,
    selective=True,
    change=cut_at,
    trial=lambda: cut_at(Spot(lambda: "lo"), before="READY"),
)
