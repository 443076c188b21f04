"""What may stand in an inventory file, as Cerberus rules; each key's `meta` is a hint."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cerberus import Validator, errors

Keys = tuple[str, ...]  # the keys that lead to a value: ("machines", "host-1", "role")
Rules = dict[str, dict[str, Any]]
_Complain = Callable[[str, str], None]

MAX_MACHINES = 10_000
NAME = r"[a-z][a-z0-9-]{0,62}"


def _is_address(key: str, text: str, complain: _Complain) -> None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        complain(key, "write an IPv4 address, such as 192.168.0.161")


def _is_network(key: str, text: str, complain: _Complain) -> None:
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        complain(key, "write an IPv4 network, such as 192.168.0.0/24")
        return
    if str(network) != text:
        complain(key, f"write {network}")
    elif not 8 <= network.prefixlen <= 30:
        complain(key, "write a network from /8 to /30, such as 192.168.0.0/24")
    elif network.is_loopback or network.is_multicast or network.is_reserved:
        complain(key, "write a network that machines can have, such as 192.168.0.0/24")


def _is_local_path(key: str, text: str, complain: _Complain) -> None:
    try:
        Path(text).expanduser()
    except RuntimeError:
        complain(key, "there is no such user here; write the whole path")


def _are_folders(key: str, text: str, complain: _Complain) -> None:
    for part in text.split(":"):
        try:
            whole = Path(part).expanduser().is_absolute()
        except RuntimeError:
            complain(key, "there is no such user here; write the whole path")
            return
        if not whole:
            complain(key, "write whole paths with : between them, such as /opt/tools:~/data")
            return


def _text(hint: str, pattern: str = r"[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*") -> dict[str, Any]:
    # Python's $ takes a line's end for the text's; \Z doesn't.
    return {"type": "string", "regex": rf"{pattern}\Z", "maxlength": 1024, "meta": hint}


def _path(hint: str) -> dict[str, Any]:
    return _text(hint) | {"check_with": _is_local_path}


def _number(least: int, most: int, hint: str) -> dict[str, Any]:
    return {"type": "integer", "min": least, "max": most, "meta": hint}


def _settings(rules: Rules, hint: str) -> dict[str, Any]:
    return {"type": "dict", "schema": rules, "meta": hint}


_SSH = {
    "port": _number(1, 65535, "a number from 1 to 65535"),
    "user": _text("a user's name", r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*"),
    "key": _path("the path of a private key"),
    "known_hosts": _path("the path of a known_hosts file"),
    "python": _text("the path of Python on the machine"),
}
_MACHINE_SSH = _SSH | {
    "host": _text("a host name or an address", r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*"),
}
_MACHINE = {
    "role": _text("a word of a-z, 0-9 and -, such as worker", NAME) | {"required": True},
    "address": {
        "type": "string",
        "check_with": _is_address,
        "required": True,
        "meta": "an IPv4 address, such as 192.168.0.161",
    },
    "count": _number(1, MAX_MACHINES, f"a number from 1 to {MAX_MACHINES}"),
    "ssh": _settings(_MACHINE_SSH, "settings, such as {host: 10.0.0.7, user: lab}"),
}
_VAGRANT = {
    "box": _text("the name of a box, such as bento/ubuntu-24.04"),
    "box_version": _text('a version of the box, such as "202508.03.0"'),
    "memory": _number(256, 1 << 20, "a number of MiB from 256 to 1048576, such as 512"),
    "cpus": _number(1, 256, "a number from 1 to 256"),
}
_NAMESPACES = {
    "visible": _text("folders of this computer, such as /opt/tools:~/data")
    | {"check_with": _are_folders},
}
_PROVIDERS = {
    "namespaces": _settings(_NAMESPACES, "settings, such as {visible: /opt/tools}"),
    "vagrant": _settings(_VAGRANT, "settings, such as {memory: 512}"),
    "ssh": _settings(_SSH, "settings, such as {user: lab}"),
}
_FILE = {
    "network": {
        "type": "string",
        "check_with": _is_network,
        "required": True,
        "meta": "an IPv4 network, such as 192.168.0.0/24",
    },
    "machines": {
        "type": "dict",
        "empty": False,
        "valuesrules": _settings(_MACHINE, "{role: worker, address: 192.168.0.161}"),
        "required": True,
        "meta": "machines, such as host-1: {role: worker, address: 192.168.0.161}",
    },
    "providers": _settings(_PROVIDERS, "settings, such as ssh: {user: lab}"),
}
_RULES: dict[Keys, Rules] = {
    (): _FILE,
    ("machines", "*"): _MACHINE,
    ("machines", "*", "ssh"): _MACHINE_SSH,
    ("providers",): _PROVIDERS,
    ("providers", "namespaces"): _NAMESPACES,
    ("providers", "vagrant"): _VAGRANT,
    ("providers", "ssh"): _SSH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the value at `keys`: `kind` is missing, empty, no text, no number, value.

    `hint` is what to write instead, where it takes a look at the value to know.
    """

    keys: Keys
    kind: str
    hint: str = ""


_KINDS = {
    (errors.REQUIRED_FIELD.code, True): "missing",
    (errors.EMPTY_NOT_ALLOWED.code, False): "empty",
    (errors.BAD_TYPE.code, "string"): "no text",
    (errors.BAD_TYPE.code, "integer"): "no number",
}


def judged(data: Mapping[str, Any]) -> Iterator[Fault]:
    """Give all that is wrong with a file's data."""
    validator = Validator(_FILE)
    validator.validate(data, normalize=False)
    yield from _flat(validator._errors)


def known_keys(keys: Keys) -> list[str] | None:
    """Return what may stand in the mapping at `keys`, None if its keys are free."""
    rules = _rules(keys)
    return list(rules) if rules else None


def description(keys: Keys) -> str:
    """Return what to write at `keys`: the end of a sentence that begins with "write"."""
    rules = _rules(keys[:-1])
    rule = rules.get(keys[-1]) if rules else _FILE["machines"]["valuesrules"]
    return str(rule["meta"]) if rule else ""


def _flat(found: list[Any]) -> Iterator[Fault]:
    """Give Cerberus' errors, which lie within each other as the data do, one by one."""
    for error in found:
        if error.child_errors:
            yield from _flat(error.child_errors)
        else:
            keys = tuple(str(key) for key in error.document_path)
            kind = _KINDS.get((error.code, error.constraint), "value")
            hint = "".join(error.info) if error.code == errors.CUSTOM.code else ""
            yield Fault(keys=keys, kind=kind, hint=hint)


def _rules(keys: Keys) -> Rules | None:
    if len(keys) > 1 and keys[0] == "machines":
        keys = ("machines", "*", *keys[2:])
    return _RULES.get(keys)
