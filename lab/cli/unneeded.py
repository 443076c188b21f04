"""Keeps out what Invoke imports and no command needs: half of the time of its import.

Invoke imports `unittest.mock`, and with it asyncio, for a class that only tests of tasks use; and
its copy of PyYAML, and with it ours, for configuration files, of which there rarely is one.
"""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_MOCK = "unittest.mock"
_YAML = "invoke.vendor.yaml"


@contextlib.contextmanager
def by_invoke() -> Iterator[None]:
    """Within the block, Invoke can be imported without them; whatever is there already stays."""
    if "invoke" in sys.modules:
        yield
        return
    sys.modules[_YAML] = _Yaml(_YAML)
    mock = sys.modules.get(_MOCK)
    if mock is None:
        sys.modules[_MOCK] = _without_mock()
    try:
        yield
    finally:
        if mock is None:
            del sys.modules[_MOCK]


def _without_mock() -> ModuleType:
    module = ModuleType(_MOCK)
    module.__dict__["Mock"] = object
    return module


class _Yaml(ModuleType):
    """Is PyYAML, which is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("yaml"), name)
