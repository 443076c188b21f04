"""Formats of texts in an inventory that no pattern can describe, each with its hint."""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path

_NO_USER = "there is no such user here; write the absolute path"


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "write an IPv4 or IPv6 address, such as 192.168.0.161 or fd00::161"
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return "write an IPv6 address without a zone, such as fd00::161"
    return ""


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "write an IPv4 or IPv6 network, such as 192.168.0.0/24 or fd00::/64"
    example, narrowest = ("192.168.0.0/24", 30) if network.version == 4 else ("fd00::/64", 126)
    if str(network) != text:
        return f"write {network}"
    if not 8 <= network.prefixlen <= narrowest:
        return f"write a network from /8 to /{narrowest}, such as {example}"
    # A link-local address means nothing without the link.
    bad = network.version == 6 and network.is_link_local
    if bad or network.is_loopback or network.is_multicast or network.is_reserved:
        return f"write a network that machines can have, such as {example}"
    return ""


def _local_path(text: str) -> str:
    try:
        Path(text).expanduser()
    except (RuntimeError, ValueError):  # ValueError: a NUL in the user's name
        return _NO_USER
    return ""


def _folders(text: str) -> str:
    for part in text.split(":"):
        try:
            whole = Path(part).expanduser().is_absolute()
        except (RuntimeError, ValueError):
            return _NO_USER
        if not whole:
            return "write absolute paths separated by colons, such as /opt/tools:~/data"
    return ""


# By name, a function that returns a hint for a text without the format, and "" for a valid one.
FORMATS: Mapping[str, Callable[[str], str]] = {
    "lab-address": _address,
    "lab-network": _network,
    "local-path": _local_path,
    "local-folders": _folders,
}
