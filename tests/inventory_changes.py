"""A good inventory, and changes that turn it into a mistake: old, new, and the message."""

from pathlib import Path
from typing import Any

import pytest

from pushpull.core.errors import LabError
from pushpull.machines.inventory import Inventory, load

GOOD = """\
network: 192.168.0.0/24
machines:
  push:   {role: pusher, address: 192.168.0.161}
  pull-1: {role: puller, address: 192.168.0.162}
  pull-2:
    role: puller
    address: 192.168.0.163
providers:
  vagrant: {memory: 512}
  ssh: {user: lab}
"""

# The line, the words and the hint of a mistake are matched against the message.
CHANGES = [
    # keys
    ("role: pusher", "rol: pusher", "3: unknown key 'rol' - did you mean 'role'?"),
    ("machines:", "machine:", "2: unknown key 'machine' - did you mean 'machines'?"),
    ("ssh: {user", "sssh: {user", "10: unknown key 'sssh' - did you mean 'ssh'?"),
    ("memory: 512", "memroy: 512", "9: unknown key 'memroy' - did you mean 'memory'?"),
    (
        "user: lab",
        "host: lab",
        "10: unknown key 'host' - known here: key, known_hosts, port, python, user",
    ),
    ("    role: puller\n", "", "5: the machine 'pull-2' has no 'role' - add `role:` with a word"),
    ("network: 192.168.0.0/24\n", "", "1: the file has no 'network' - add `network:` with an IPv4"),
    ("role: pusher", "role: a, role: b", "3: 'role' occurs twice, first on line 3 - delete one"),
    ("role: pusher", "[role]: a, role: b", "3: a key must be one word - write `key: value`"),
    # doubles
    (
        "pull-2:",
        "push:",
        "5: the machine 'push' occurs twice, first on line 3 - give one of them another name",
    ),
    (
        "address: 192.168.0.163",
        "address: 192.168.0.162",
        "7: 'pull-2' has the address 192.168.0.162, as 'pull-1' on line 4 - give each machine",
    ),
    (
        "address: 192.168.0.161}",
        "address: 192.168.0.100, count: 63}",
        "4: 'pull-1' has the address 192.168.0.162, as 'push' on line 3 - give each machine",
    ),
    (
        "  push: ",
        "  pull: {role: puller, address: 192.168.0.20, count: 1}\n  push: ",
        "5: the machine 'pull-1' is also one of those counted on line 3 - give one of them",
    ),
    # addresses
    (
        "192.168.0.163",
        "192.168.1.163",
        "7: 192.168.1.163 is not an address for a machine in the network 192.168.0.0/24 - write"
        " one from 192.168.0.1 to 192.168.0.254, or change `network`",
    ),
    ("192.168.0.163", "192.168.0.255", "7: 192.168.0.255 is not an address for a machine"),
    ("192.168.0.163", "192.168.0.0", "7: 192.168.0.0 is not an address for a machine"),
    ("192.168.0.163", "0.0.0.0", "7: 0.0.0.0 is not an address for a machine"),
    ("192.168.0.163", "192.168.0.300", "7: 'address' can't be '192.168.0.300' - write an IPv4"),
    ("192.168.0.163", "192.168.0.03", "7: 'address' can't be '192.168.0.03' - write an IPv4"),
    ("192.168.0.163", "'fe80::1'", "7: fe80::1 is not an address for a machine in the network"),
    (
        "address: 192.168.0.163",
        "address: 192.168.0.163\n    count: 300",
        "7: 300 machines from 192.168.0.163 on, but 192.168.0.0/24 has room for 92"
        " - write a wider `network: 192.168.0.0/23`, or count fewer",
    ),
    ("/24", "/33", "1: 'network' can't be '192.168.0.0/33' - write an IPv4 or IPv6 network"),
    ("0.0/24", "0.1/24", "1: 'network' can't be '192.168.0.1/24' - write 192.168.0.0/24"),
    ("192.168.0.0/24", "192.168.0.0", "1: 'network' can't be '192.168.0.0' - write 192.168.0.0/32"),
    ("192.168.0.0/24", "127.0.0.0/8", "1: 'network' can't be '127.0.0.0/8' - write a network that"),
    ("192.168.0.0/24", "0.0.0.0/0", "1: 'network' can't be '0.0.0.0/0' - write a network from /8"),
    # names
    ("pull-2:", "Pull_2:", "5: the machine name 'Pull_2' is not a host name - use a-z"),
    ("pull-2:", "2pull:", "5: the machine name '2pull' is not a host name - use a-z"),
    ("pull-2:", "p" * 64 + ":", "is not a host name - use a-z"),
    ("pull-2:", '"p\\e[2J":', "5: the machine name 'p\\x1b[2J' is not a host name - use"),
    ("role: pusher", "role: Pusher", "3: 'role' can't be 'Pusher' - write a word of a-z"),
    # read as something else
    ("pull-2:", "no:", "5: the machine name 'no' is read as yes or no, not as text - quote it:"),
    ("role: pusher", "role: no", "3: 'no' is read as yes or no, not as text - quote it: \"no\""),
    ("role: pusher", "role: 1:30", "3: '1:30' is read as a number, not as text - quote it:"),
    ("role: pusher", "role: " + "9" * 6000, "3: '999"),
    ("role: pusher", "role: 0o17", "3: '0o17' is read as a number, not as text - quote it:"),
    ("role: pusher", "role: 1e3", "3: '1e3' is read as a number, not as text - quote it:"),
    ("role: pusher", "role: 2012-10-07", "3: '2012-10-07' is read as a date, not as text - quote"),
    ("role: pusher", "role: 2012-99-99", "3: '2012-99-99' is read as a date, not as text - quote"),
    ("role: pusher", "role: ~", "3: '~' is read as nothing, not as text - quote it:"),
    ("role: pusher", "role: <<", "3: '<<' is read as a sign of YAML's own, not as text - quote"),
    ("role: pusher", "role: ", "3: 'role' has no value - write a word of a-z"),
    ("{user: lab}", "", "10: 'ssh' has no value - write settings, such as {user: lab}, or delete"),
    ("memory: 512", "box_version: 12.1", "9: '12.1' is read as a number, not as text - quote it:"),
    # types and ranges
    ("memory: 512", "memory: '512'", "9: 'memory' can't be '512' - write a number of MiB from 256"),
    ("memory: 512", "memory: 1:30", "9: 'memory' can't be '1:30' - write a number of MiB"),
    ("memory: 512", "memory: 0x400", "9: 'memory' can't be '0x400' - write a number of MiB"),
    ("memory: 512", "memory: 1e3", "9: 'memory' can't be '1e3' - write a number of MiB"),
    ("memory: 512", "memory: yes", "9: 'memory' can't be 'yes' - write a number of MiB"),
    ("memory: 512", "memory: 512.0", "9: 'memory' can't be '512.0' - write a number of MiB"),
    ("memory: 512", "memory: 5", "9: 'memory' can't be '5' - write a number of MiB from 256"),
    ("memory: 512", "memory: " + "9" * 6000, "9: 'memory' can't be '999"),
    ("memory: 512", "cpus: 0", "9: 'cpus' can't be '0' - write a number from 1 to 256"),
    ("user: lab", "port: 65536", "10: 'port' can't be '65536' - write a number from 1 to 65535"),
    ("user: lab", "user: -oProxy", "10: 'user' can't be '-oProxy' - write a user's name"),
    ("user: lab", "key: ~nobody-has-this-name/id", "10: 'key' can't be"),
    ("user: lab", 'key: "a\\0b"', "10: 'key' can't be 'a\\x00b' - write the path of a private"),
    ("192.168.0.161}", "192.168.0.161, count: 0}", "3: 'count' can't be '0' - write a number from"),
    (
        "192.168.0.161}",
        "192.168.0.161, count: 99999999999}",
        "3: 'count' can't be '99999999999' - write a number from 1 to 10000",
    ),
    (
        "192.168.0.161}",
        "192.168.0.9, count: 2, ssh: {host: h}}",
        "3: 2 machines can't have the same host - delete `host`, or write a stanza for each",
    ),
    ("{role: pusher, address: 192.168.0.161}", "pusher", "3: 'push' can't be 'pusher' - write {ro"),
    ("{role: pusher, address: 192.168.0.161}", "[a]", "3: 'push' can't hold a list - write {role"),
    ("role: pusher", "role: {a: b}", "3: 'role' can't hold keys of its own - write a word of"),
    # what YAML can do and an inventory doesn't need
    ("role: pusher", "role: &r pusher", "3: the anchor 'r' is not allowed here - delete it"),
    ("role: pusher", "role: *r", "3: the alias 'r' is not allowed here - write out its"),
    ("role: pusher", "*r : 1, role: a", "3: the alias 'r' is not allowed here - write out its"),
    ("role: pusher", "role: !!str pusher", "3: the tag 'tag:yaml.org,2002:str' is not allowed"),
    ("role: pusher", "role: !x pusher", "3: the tag '!x' is not allowed here - delete it"),
    (
        "{user: lab}",
        "!!python/object:os.x {}",
        "10: the tag 'tag:yaml.org,2002:python/object:os.x'",
    ),
    ("role: pusher", 'role: "\\ud800"', "3: the half character in '\\ud800' is not allowed here"),
    # text that isn't YAML
    (
        "    role: puller",
        "    role: puller: b",
        "6: there is a `:` where no key can be - correct the",
    ),
    ("  pull-1", "\tpull-1", "4: there is a tab - indent with spaces"),
    (
        "192.168.0.161}",
        "192.168.0.161",
        "3: this `{` is never closed, or a comma is missing",
    ),
    ("role: pusher", "role: [a", "3: this `[` is never closed, or a comma is missing"),
    ("role: pusher", "role: 'pusher", "3: the quote that begins here is never closed - close it"),
    ("role: pusher", "role: @a", "3: a text can't begin with this character - put the text in"),
    ("providers:", "providers", "a key has no `:` - write `key: value`, with a space after"),
    ("    role", "      role", "7: this line doesn't match those above it - indent it like its"),
    ("providers:", "---\nproviders:", "8: a second document begins - keep one; delete the `---`"),
    ("role: pusher", "role: a\x07", "3: the character U+0007 is not allowed in YAML - delete it"),
    ("role: pusher", 'role: "\\UFFFFFFFF"', "a number is too large to be an escape or a version"),
    (
        "role: pusher",
        "role: " + "[" * 5000,
        "3: this is nested too deeply, or is too long - write an",
    ),
]


@pytest.fixture
def inventory(tmp_path: Path) -> Any:
    def written(text: str | bytes, **options: Any) -> Inventory:
        path = tmp_path / "inventory.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, **options)

    return written


@pytest.fixture
def mistakes(inventory: Any, tmp_path: Path) -> Any:
    """Load a text that has mistakes; return them as "LINE: what - hint"."""

    def found(text: str | bytes, **options: Any) -> list[str]:
        with pytest.raises(LabError) as caught:
            inventory(text, **options)
        lines = str(caught.value).split("\n")
        start = f"{tmp_path / 'inventory.yaml'}:"
        assert all(line.startswith(start) and " - " in line for line in lines)
        return [line.removeprefix(start) for line in lines]

    return found
