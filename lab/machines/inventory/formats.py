"""Formats of texts in an inventory that no pattern can describe, each with its hint."""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path

_NO_USER = "there is no such user here; write the absolute path"


def _address(text: str) -> str:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return "write an IPv4 address, such as 192.168.0.161"
    return ""


def _network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return "write an IPv4 network, such as 192.168.0.0/24"
    if str(network) != text:
        return f"write {network}"
    if not 8 <= network.prefixlen <= 30:
        return "write a network from /8 to /30, such as 192.168.0.0/24"
    if network.is_loopback or network.is_multicast or network.is_reserved:
        return "write a network that machines can have, such as 192.168.0.0/24"
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
# `ipv4` is JSON Schema's own name, which editors know too.
FORMATS: Mapping[str, Callable[[str], str]] = {
    "ipv4": _address,
    "ipv4-network": _network,
    "local-path": _local_path,
    "local-folders": _folders,
}
