"""Checks an inventory's text: returns its content, or reports all of its mistakes at once.

The text becomes YAML nodes, which know their lines. The nodes become plain data, a JSON Schema
checks the data, and the path of each error leads back to a node and its line. The valid rest is
then checked as a whole. If possible, a mistake is repaired in memory, so that it causes one
message and not three.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from pushpull.machines.inventory.found_valid import judged
from pushpull.machines.inventory.nodes import REFUSED, Mistakes, compose, line_of, shown
from pushpull.machines.inventory.schema import (
    MAX_MACHINES,
    NAME,
    Fault,
    Keys,
    description,
    known_keys,
    unique,
)

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,17}")
# Text for PyYAML, but a number for other readers of the same file (YAML 1.2, Ruby).
_ELSEWHERE_A_NUMBER = re.compile(r"[-+]?(0o[0-7]+|[0-9][0-9_,]*(\.[0-9]*)?([eE][-+]?[0-9]+)?)")
_READ_AS = {
    "bool": "yes or no",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Settings = Mapping[str, Mapping[str, Any]]  # by the names of provider and setting


class CheckedMachine(NamedTuple):
    """One machine, after expanding `count`; `settings` are those of its own stanza."""

    name: str
    roles: tuple[str, ...]
    address: str
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The content of a valid file; settings that it doesn't have are absent."""

    network: str
    machines: Sequence[CheckedMachine]
    settings: Settings


def check(text: str, *, file: str, roles: Sequence[str], needed_by: str) -> Checked:
    """Return the content of an inventory; InventoryError with all mistakes if it has any.

    Arguments:
        text: the YAML text.
        file: the file's name for the messages.
        roles: roles that need a machine.
        needed_by: what needs them, perhaps empty.
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
    _check_roles(stanzas, roles, needed_by, tree, mistakes)
    if mistakes:
        raise mistakes.error()
    return Checked(
        network=tree.data["network"],
        machines=[machine for stanza in stanzas for machine in stanza.machines()],
        settings=tree.data.get("providers", {}),
    )


class _Misread:
    """A value that YAML reads as something other than its text, so that no type fits."""


class _Tree:
    """The data of a file, and the nodes from which it comes.

    Creating it reports unknown and duplicate keys, which need no types. An unknown key that
    resembles an absent one counts as that one, so that its content is checked as well.
    """

    def __init__(self, root: yaml.MappingNode, mistakes: Mistakes) -> None:
        self._mistakes = mistakes
        self._keys: dict[Keys, yaml.Node] = {(): root}
        self._values: dict[Keys, yaml.Node] = {(): root}
        self.data: dict[str, Any] = self._mapping(root, ())

    def line(self, *keys: str) -> int:
        """Return the line of a key; if it is absent, the line of the closest enclosing one."""
        while keys not in self._keys:
            keys = keys[:-1]
        return line_of(self._keys[keys])

    def place(self, fault: Fault) -> int:
        """Return the position of a fault in the file, for sorting."""
        node = self._values.get(fault.keys)
        return int(node.start_mark.index) if node else -1

    def key_read_as(self, *keys: str) -> str:
        """Return how YAML reads a key, if not as text."""
        node = self._keys[keys]
        return _read_as(node) if isinstance(node, yaml.ScalarNode) else ""

    def report(self, fault: Fault) -> None:
        """Report what is wrong with a value, and remove it from the data."""
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
        for k, each in enumerate(node.value):
            self._keys[*keys, str(k)] = self._values[*keys, str(k)] = each
        return [self._value(each, (*keys, str(k))) for k, each in enumerate(node.value)]

    def _key(self, node: yaml.Node, above: Keys, written: set[str]) -> str | None:
        """Return the key in a node, None if it is unusable."""
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
            what = f"the machine {shown(keys[-1])} occurs twice, first on line {first}"
            self._mistakes.add(line_of(node), what, "give one of them another name")
        else:
            what = f"{keys[-1]!r} occurs twice, first on line {first}"
            self._mistakes.add(line_of(node), what, "delete one of them")

    def _explained(self, fault: Fault) -> tuple[str, str]:
        """Return in plain words what is wrong with a value, and the hint."""
        node, name = self._values[fault.keys], shown(self._owner(fault.keys)[-1])
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
        keys, holder = self._owner(keys), self.data
        for key in keys[:-1]:
            holder = holder.get(key, {})
        holder.pop(keys[-1], None)

    def _owner(self, keys: Keys) -> Keys:
        """Return the keys of a value, or if it is a member of a list, those of the list."""
        while isinstance(self._values.get(keys[:-1]), yaml.SequenceNode):
            keys = keys[:-1]
        return keys


def _scalar(node: yaml.ScalarNode) -> str | int | _Misread:
    if node.tag == "tag:yaml.org,2002:int" and _DECIMAL.fullmatch(node.value):
        return int(node.value)
    return _Misread() if _read_as(node) else str(node.value)


def _read_as(node: yaml.ScalarNode) -> str:
    """Return how YAML reads a node, if not as text; "" for text."""
    if node.tag == "tag:yaml.org,2002:str":
        plain = node.style is None
        return "a number" if plain and _ELSEWHERE_A_NUMBER.fullmatch(node.value) else ""
    return _READ_AS.get(node.tag.rpartition(":")[2], "a sign of YAML's own")


def _closest(word: str, words: Iterable[str]) -> str | None:
    import difflib  # imported only after a mistake

    return next(iter(difflib.get_close_matches(word[:80], list(words), n=1)), None)


# --- What types can't express: names, addresses and roles, in the valid rest. ---------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stanza:
    """One entry under `machines`; `address` is None and `roles` empty if it has no valid one."""

    name: str
    roles: tuple[str, ...]
    address: Address | None
    count: int | None
    settings: Settings
    tree: _Tree

    @property
    def first(self) -> int:
        return -1 if self.address is None else int(self.address)

    @property
    def last(self) -> int:
        return self.first + (self.count or 1) - 1

    def line(self, *keys: str) -> int:
        return self.tree.line("machines", self.name, *keys)

    def machines(self) -> Iterator[CheckedMachine]:
        assert self.address is not None  # without one, there is a mistake
        for i in range(self.count or 1):
            name = self.name if self.count is None else f"{self.name}-{i + 1}"
            yield CheckedMachine(name, self.roles, str(self.address + i), self.settings)


def _stanzas(tree: _Tree) -> Iterator[_Stanza]:
    for name, data in tree.data.get("machines", {}).items():
        yield _Stanza(
            name=name,
            roles=_words(data.get("role", [])),
            address=ipaddress.ip_address(data["address"]) if "address" in data else None,
            count=data.get("count"),
            settings={key: held for key, held in data.items() if isinstance(held, dict)},
            tree=tree,
        )


def _words(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))


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
    """Report what a stanza sets for several machines, though each needs its own."""
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
        hint = "use a-z, 0-9 and -, beginning with a-z, at most 63 characters with its number"
        mistakes.add(stanza.line(), what, hint)
    elif read_as:
        what = f"the machine name {stanza.name!r} is read as {read_as}, not as text"
        mistakes.add(stanza.line(), what, f'quote it: "{stanza.name}"')


def _check_addresses(stanzas: Sequence[_Stanza], tree: _Tree, mistakes: Mistakes) -> None:
    if sum(stanza.count or 1 for stanza in stanzas) > MAX_MACHINES:
        what = f"these are more than {MAX_MACHINES} machines"
        mistakes.add(tree.line("machines"), what, "count fewer")
    used = [(stanza.address, stanza) for stanza in stanzas if stanza.address is not None]
    if "network" in tree.data:
        network = ipaddress.ip_network(tree.data["network"])
        for address, stanza in used:
            _check_in_network(stanza, address, network, mistakes)
    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        _check_overlaps([stanza for address, stanza in used if isinstance(address, kind)], mistakes)


def _check_overlaps(stanzas: Sequence[_Stanza], mistakes: Mistakes) -> None:
    # By address: a stanza that overlaps an earlier one overlaps the one that reaches furthest.
    furthest: _Stanza | None = None
    for stanza in sorted(stanzas, key=lambda stanza: stanza.first):
        if furthest and stanza.first <= furthest.last:
            _report_same_address(furthest, stanza, mistakes)
        if not furthest or stanza.last > furthest.last:
            furthest = stanza


def _check_in_network(
    stanza: _Stanza, address: Address, network: Network, mistakes: Mistakes
) -> None:
    lowest, highest = network.network_address + 1, network.broadcast_address - 1
    if address not in network or not int(lowest) <= int(address) <= int(highest):
        what = f"{address} is not an address for a machine in the network {network}"
        hint = f"write one from {lowest} to {highest}, or change `network`"
        mistakes.add(stanza.line("address"), what, hint)
    elif stanza.last > int(highest):
        room = int(highest) - int(address) + 1
        what = f"{stanza.count} machines from {address} on, but {network} has room for {room}"
        hint = f"write a wider `network: {_wider(network, stanza.last)}`, or count fewer"
        mistakes.add(stanza.line("address"), what, hint)


def _wider(network: Network, last: int) -> Network:
    while int(network.broadcast_address) <= last and network.prefixlen > 8:
        network = network.supernet()
    return network


def _report_same_address(one: _Stanza, other: _Stanza, mistakes: Mistakes) -> None:
    first, second = sorted((one, other), key=_Stanza.line)
    shared = max((one, other), key=lambda stanza: stanza.first).address
    line = first.line("address")
    what = f"{second.name!r} has the address {shared}, as {first.name!r} on line {line}"
    mistakes.add(second.line("address"), what, "give each machine its own address")


def _check_roles(
    stanzas: Sequence[_Stanza],
    roles: Sequence[str],
    needed_by: str,
    tree: _Tree,
    mistakes: Mistakes,
) -> None:
    if not stanzas:
        return  # there is no machine at all, which is already reported
    holders = {role: stanza for stanza in reversed(stanzas) for role in stanza.roles}
    for role in roles:
        what, hint = f"no machine has the role {role!r}", f"write `role: {role}`"
        what += f", which {needed_by} needs" if needed_by else ""
        close = _closest(role, holders)
        if close is None:
            mistakes.add(tree.line("machines"), what, f"{hint} for one of them")
        elif close != role:
            close_by = holders[close]
            what = f"{what}; {close_by.name!r} has {close!r}"
            mistakes.add(close_by.line("role"), what, hint)
