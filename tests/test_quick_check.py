"""What the quick check of an inventory lets pass, the library lets pass too."""

import copy
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_changes import GOOD

from pushpull.core.project import PROJECT
from pushpull.machines.inventory import schema
from pushpull.machines.inventory.quick_check import surely_fits

_KEYS = st.sampled_from(
    [
        *("network", "machines", "providers", "role", "address", "count", "ssh", "host", "user"),
        *("key", "port", "vagrant", "memory", "namespaces", "visible", "monotonic_ahead_s"),
        *("a-1", "B", ""),
    ]
)
_LEAVES = st.sampled_from(
    [
        *("10.0.0.0/24", "10.0.0.0/33", "10.0.0.1", "fd00::1%2", "w", "W", "w\n", ""),
        *("/opt:~/x", "~no/x", "x" * 1025),
        *(True, False, None, 0, 1, -1, 70_000, 10**12, 1.0, 0.5),
    ]
)
_VALUES = st.recursive(
    _LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(_KEYS, one, max_size=4)
)


def _fits(data: object) -> bool:
    return surely_fits(data, schema._schema(), schema._has_format)


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Return all containers in some data, each with a key of theirs."""
    found = []
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in pairs:
        found.append((data, key))
        if isinstance(value, dict | list):
            found += _places(value)
    return found


def test_it_knows_that_good_inventories_fit() -> None:
    for text in (GOOD, (PROJECT / "inventory.yaml").read_text()):
        assert _fits(yaml.safe_load(text))


def test_a_keyword_that_it_does_not_know_is_for_the_library() -> None:
    assert not surely_fits(5, {"type": "integer", "multipleOf": 5}, schema._has_format)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_lets_nothing_pass_that_the_library_refuses(data: st.DataObject) -> None:
    changed = copy.deepcopy(yaml.safe_load(GOOD))
    container, key = data.draw(st.sampled_from(_places(changed)))
    if isinstance(container, dict):
        key = data.draw(st.just(key) | _KEYS)
    container[key] = data.draw(_VALUES)
    if _fits(changed):
        assert not list(schema._validator().iter_errors(changed))
