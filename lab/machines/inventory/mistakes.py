"""An inventory's text in, its checked content out, or all of its mistakes at once.

The text becomes YAML nodes, which know their lines. The nodes become plain data, a JSON Schema
judges the data, and the path of each error leads back to a node and so to a line. What is right so
far is then judged as a whole. A mistake is repaired in memory where that is possible, so that it
gives one message and not three.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from lab.machines.inventory.nodes import REFUSED, Mistakes, compose, line_of, shown
from lab.machines.inventory.schema import (
    MAX_MACHINES,
    NAME,
    Fault,
    Keys,
    description,
    judged,
    known_keys,
    unique,
)

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Text for PyYAML, a number for other readers of the same file (YAML 1.2, Ruby's).
_ELSEWHERE_A_NUMBER = re.compile(r"[-+]?(0o[0-7]+|[0-9][0-9_,]*(\.[0-9]*)?([eE][-+]?[0-9]+)?)")
_READ_AS = {
    "bool": "yes or no",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}


Settings = Mapping[str, Mapping[str, Any]]  # by the provider's name, and by the setting's


class CheckedMachine(NamedTuple):
    """One machine after counting; `settings` are those of its own stanza."""

    name: str
    role: str
    address: str
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The content of a file without mistakes; settings that it doesn't give are absent."""

    network: str
    machines: Sequence[CheckedMachine]
    settings: Settings


def check(text: str, *, file: str, roles: Sequence[str]) -> Checked:
    """Return the content of an inventory; InventoryError with all mistakes if it has some.

    Arguments:
        text: the YAML text.
        file: the file's name for the messages.
        roles: roles that need a machine.
    """
    mistakes = Mistakes(file)
    root = compose(text, mistakes)
    if root is None:
        raise mistakes.error()
    tree = _Tree(root, mistakes)
    for fault in sorted(judged(tree.data), key=tree.place):
        tree.report(fault)
    stanzas = list(_stanzas(tree))
    _check_names(stanzas, mistakes)
    _check_addresses(stanzas, tree, mistakes)
    _check_roles(stanzas, roles, tree, mistakes)
    if mistakes:
        raise mistakes.error()
    return Checked(
        network=tree.data["network"],
        machines=[machine for stanza in stanzas for machine in stanza.machines()],
        settings=tree.data.get("providers", {}),
    )


class _Misread:
    """Stands for a value that YAML reads as something else than its text, so that no type fits."""


class _Tree:
    """The data of a file, and the nodes it came from.

    Making it reports what needs no type: unknown and doubled keys. An unknown key that is close to
    an absent one is taken for that one, so that what it holds is judged as well.
    """

    def __init__(self, root: yaml.MappingNode, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._keys: dict[Keys, yaml.Node] = {(): root}
        self._values: dict[Keys, yaml.Node] = {(): root}
        self.data: dict[str, Any] = self._mapping(root, ())

    def line(self, *keys: str) -> int:
        """Return the line of a key; that of the closest one around it where it is absent."""
        while keys not in self._keys:
            keys = keys[:-1]
        return line_of(self._keys[keys])

    def place(self, fault: Fault) -> int:
        """Return where in the file a fault is, to put faults in its order."""
        node = self._values.get(fault.keys)
        return int(node.start_mark.index) if node else -1

    def key_read_as(self, *keys: str) -> str:
        """Say as what a reader of YAML takes a key, if not as text."""
        node = self._keys[keys]
        return _read_as(node) if isinstance(node, yaml.ScalarNode) else ""

    def report(self, fault: Fault) -> None:
        """Report what is wrong with a value, and take it out of the data."""
        keys = fault.keys
        if fault.kind == "missing":
            owner = f"the machine {shown(keys[-2])}" if len(keys) > 1 else "the file"
            example = f"add `{keys[-1]}:` with {description(keys)}"
            self._mistakes.add(self.line(*keys), f"{owner} has no {keys[-1]!r}", example)
            return
        if self._values[keys].tag != REFUSED:
            self._mistakes.add(self.line(*keys), *self._explained(fault))
        self._take_out(keys)

    def _mapping(self, node: yaml.MappingNode, above: Keys) -> dict[str, Any]:
        data: dict[str, Any] = {}
        written = {key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
        for key_node, value_node in node.value:
            key = self._key(key_node, above, written)
            if key is None:
                continue
            keys = (*above, key)
            if keys in self._keys:
                self._report_doubled(key_node, keys)
                continue
            self._keys[keys], self._values[keys] = key_node, value_node
            data[key] = self._value(value_node, keys)
        return data

    def _value(self, node: yaml.Node, keys: Keys) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        return []  # no list is right anywhere, so what it holds doesn't matter

    def _key(self, node: yaml.Node, above: Keys, written: set[str]) -> str | None:
        """Return the key that a node stands for, None if it is of no use."""
        if node.tag == REFUSED:
            return None
        if not isinstance(node, yaml.ScalarNode):
            self._mistakes.add(line_of(node), "a key must be one word", "write `key: value`")
            return None
        key: str = node.value
        known = known_keys(above)
        if known is None or key in known:
            return key
        close = _closest(key, known)
        hint = f"did you mean {close!r}?" if close else f"known here: {', '.join(sorted(known))}"
        self._mistakes.add(line_of(node), f"unknown key {shown(key)}", hint)
        return close if close not in written else None

    def _report_doubled(self, node: yaml.Node, keys: Keys) -> None:
        first = self.line(*keys)
        if keys[:-1] == ("machines",):
            what = f"the machine {shown(keys[-1])} is there twice, first on line {first}"
            self._mistakes.add(line_of(node), what, "give one of them another name")
        else:
            what = f"{keys[-1]!r} is there twice, first on line {first}"
            self._mistakes.add(line_of(node), what, "delete one of them")

    def _explained(self, fault: Fault) -> tuple[str, str]:
        """Say in plain words what is wrong with a value, and the hint."""
        node, name = self._values[fault.keys], shown(fault.keys[-1])
        hint = f"write {description(fault.keys)}"
        if not isinstance(node, yaml.ScalarNode):
            if fault.kind == "empty":
                return f"{name} is empty", hint
            held = "keys of its own" if isinstance(node, yaml.MappingNode) else "a list"
            return f"{name} can't hold {held}", hint
        if not node.value and node.style is None:
            return f"{name} has no value", f"{hint}, or delete the key"
        if fault.kind == "no text":
            what = f"{shown(node.value)} is read as {_read_as(node)}, not as text"
            return what, f'quote it: "{shown(node.value)[1:-1]}" (as {name}, {hint})'
        if fault.kind == "no number" and node.style:
            hint += ", without quotes"
        return f"{name} can't be {shown(node.value)}", fault.hint or hint

    def _take_out(self, keys: Keys) -> None:
        holder = self.data
        for key in keys[:-1]:
            holder = holder[key]
        holder.pop(keys[-1], None)


def _scalar(node: yaml.ScalarNode) -> str | int | _Misread:
    if node.tag == "tag:yaml.org,2002:int" and _DECIMAL.fullmatch(node.value):
        return int(node.value)
    return _Misread() if _read_as(node) else str(node.value)


def _read_as(node: yaml.ScalarNode) -> str:
    """Say as what a reader of YAML takes this, if not as text; "" if as text."""
    if node.tag == "tag:yaml.org,2002:str":
        plain = node.style is None
        return "a number" if plain and _ELSEWHERE_A_NUMBER.fullmatch(node.value) else ""
    return _READ_AS.get(node.tag.rpartition(":")[2], "a sign of YAML's own")


def _closest(word: str, words: Iterable[str]) -> str | None:
    import difflib  # only who made a mistake pays for it

    return next(iter(difflib.get_close_matches(word[:80], list(words), n=1)), None)


# --- What no type can say: names, addresses and roles, in what is right so far. -------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stanza:
    """One entry under `machines`; `address` is -1 and `role` empty where it has no good one."""

    name: str
    role: str
    address: int
    count: int | None
    settings: Settings
    tree: _Tree

    @property
    def last(self) -> int:
        return self.address + (self.count or 1) - 1

    def line(self, *keys: str) -> int:
        return self.tree.line("machines", self.name, *keys)

    def machines(self) -> Iterator[CheckedMachine]:
        for i in range(self.count or 1):
            name = self.name if self.count is None else f"{self.name}-{i + 1}"
            address = str(ipaddress.IPv4Address(self.address + i))
            yield CheckedMachine(name, self.role, address, self.settings)


def _stanzas(tree: _Tree) -> Iterator[_Stanza]:
    for name, data in tree.data.get("machines", {}).items():
        yield _Stanza(
            name=name,
            role=data.get("role", ""),
            address=int(ipaddress.IPv4Address(data["address"])) if "address" in data else -1,
            count=data.get("count"),
            settings={key: held for key, held in data.items() if isinstance(held, dict)},
            tree=tree,
        )


def _check_names(stanzas: Sequence[_Stanza], mistakes: Mistakes) -> None:
    counted = {stanza.name: stanza for stanza in stanzas if stanza.count}
    for stanza in stanzas:
        _check_name(stanza, mistakes)
        base, _, number = stanza.name.rpartition("-")
        is_counted = re.fullmatch(r"[1-9][0-9]{0,5}", number) and base in counted
        if stanza.count is None and is_counted and int(number) <= (counted[base].count or 0):
            first = counted[base].line()
            what = f"the machine {stanza.name!r} is also one of those counted on line {first}"
            mistakes.add(stanza.line(), what, "give one of them another name")
        if (stanza.count or 1) > 1:
            _check_shared(stanza, mistakes)


def _check_shared(stanza: _Stanza, mistakes: Mistakes) -> None:
    """Report what a stanza of several machines sets though each needs its own."""
    for provider, settings in stanza.settings.items():
        for key in settings:
            if unique(("machines", stanza.name, provider, key)):
                what = f"{stanza.count} machines can't have the same {key}"
                hint = f"delete `{key}`, or write a stanza for each machine"
                mistakes.add(stanza.line(provider, key), what, hint)


def _check_name(stanza: _Stanza, mistakes: Mistakes) -> None:
    read_as = stanza.tree.key_read_as("machines", stanza.name)
    longest = f"{stanza.name}-{stanza.count}" if stanza.count else stanza.name
    if not re.fullmatch(NAME, longest):
        what = f"the machine name {shown(stanza.name)} is not a host name"
        hint = "begin with a-z, go on with a-z, 0-9 and -, 63 characters at most with its number"
        mistakes.add(stanza.line(), what, hint)
    elif read_as:
        what = f"the machine name {stanza.name!r} is read as {read_as}, not as text"
        mistakes.add(stanza.line(), what, f'quote it: "{stanza.name}"')


def _check_addresses(stanzas: Sequence[_Stanza], tree: _Tree, mistakes: Mistakes) -> None:
    if sum(stanza.count or 1 for stanza in stanzas) > MAX_MACHINES:
        what = f"these are more than {MAX_MACHINES} machines"
        mistakes.add(tree.line("machines"), what, "count fewer")
    used = [stanza for stanza in stanzas if stanza.address >= 0]
    if "network" in tree.data:
        network = ipaddress.IPv4Network(tree.data["network"])
        for stanza in used:
            _check_in_network(stanza, network, mistakes)
    # By address: who overlaps with anyone before it overlaps with the one that reaches furthest.
    furthest: _Stanza | None = None
    for stanza in sorted(used, key=lambda stanza: stanza.address):
        if furthest and stanza.address <= furthest.last:
            _report_same_address(furthest, stanza, mistakes)
        if not furthest or stanza.last > furthest.last:
            furthest = stanza


def _check_in_network(stanza: _Stanza, network: ipaddress.IPv4Network, mistakes: Mistakes) -> None:
    lowest, highest = network.network_address + 1, network.broadcast_address - 1
    address = ipaddress.IPv4Address(stanza.address)
    if not lowest <= address <= highest:
        what = f"{address} is not an address for a machine in the network {network}"
        hint = f"write one from {lowest} to {highest}, or change `network`"
        mistakes.add(stanza.line("address"), what, hint)
    elif stanza.last > int(highest):
        room = int(highest) - stanza.address + 1
        what = f"{stanza.count} machines from {address} on, but {network} has room for {room}"
        hint = f"write a wider `network: {_wider(network, stanza.last)}`, or count fewer"
        mistakes.add(stanza.line("address"), what, hint)


def _wider(network: ipaddress.IPv4Network, last: int) -> ipaddress.IPv4Network:
    while int(network.broadcast_address) <= last and network.prefixlen > 8:
        network = network.supernet()
    return network


def _report_same_address(one: _Stanza, other: _Stanza, mistakes: Mistakes) -> None:
    first, second = sorted((one, other), key=_Stanza.line)
    shared = ipaddress.IPv4Address(max(first.address, second.address))
    line = first.line("address")
    what = f"{second.name!r} has the address {shared}, as {first.name!r} on line {line}"
    mistakes.add(second.line("address"), what, "give each machine an address of its own")


def _check_roles(
    stanzas: Sequence[_Stanza], roles: Sequence[str], tree: _Tree, mistakes: Mistakes
) -> None:
    if not stanzas:
        return  # there is no machine at all, which was reported
    holders = {stanza.role: stanza for stanza in reversed(stanzas) if stanza.role}
    for role in roles:
        what, hint = f"no machine has the role {role!r}", f"write `role: {role}`"
        close = _closest(role, holders)
        if close is None:
            mistakes.add(tree.line("machines"), what, f"{hint} for one of them")
        elif close != role:
            close_by = holders[close]
            what = f"{what}; {close_by.name!r} has {close!r}"
            mistakes.add(close_by.line("role"), what, hint)
