"""Faults of the lab network, injected on the machines themselves with nft and tc.

Rules name only lab addresses, so they never cut a control connection, which comes from elsewhere.
"""

from collections.abc import Sequence
from functools import partial

from pushpull.core.faults.change import Change, Spot, queue, rules
from pushpull.core.faults.fault import Check, Fault, Scope

_HARMLESS = "chain output { type filter hook output priority 0; }"


def separation(spot: Spot, *, one_way: bool = False, reject: bool = False) -> Change:
    """Return the change that separates a machine from others.

    What it sends to them is lost and, unless `one_way`, also what they send to it. With `reject`,
    TCP gets an RST in answer and other protocols an ICMP error; otherwise there is no answer.
    """
    addresses = "{ " + ", ".join(spot.others) + " }"
    verdicts = ["meta l4proto tcp reject with tcp reset", "reject"] if reject else ["drop"]
    # Answers to incoming packets pass through the same rules.
    passed = ["tcp flags rst accept", "meta l4proto icmp accept"] if reject else []
    out = [*passed, *(f"ip daddr {addresses} {verdict}" for verdict in verdicts)]
    back = [f"ip saddr {addresses} {verdict}" for verdict in verdicts]
    chains = [_chain("output", out), *([] if one_way else [_chain("input", back)])]
    return rules("\n".join(chains))


def slowness(
    spot: Spot, *, delay_ms: float = 0, jitter_ms: float = 0, loss_percent: float = 0
) -> Change:
    """Return the change that delays what a machine sends, or loses it at random."""
    how = ["delay", f"{delay_ms}ms", f"{jitter_ms}ms", "loss", f"{loss_percent}%"]
    return queue(spot.find_link(), ["netem", *how])


def rate(spot: Spot, *, kbit: int) -> Change:
    """Return the change that limits what a machine sends to `kbit` kilobits a second."""
    how = ["rate", f"{kbit}kbit", "burst", "16kb", "latency", "400ms"]
    return queue(spot.find_link(), ["tbf", *how])


def _chain(hook: str, lines: Sequence[str]) -> str:
    head = f"chain {hook} {{ type filter hook {hook} priority 0; policy accept;"
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
    trial=lambda: queue("lo", ["netem", "delay", "0ms"]),
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
