"""What `fab test --quick` holds: of tests that differ in a value alone, the first."""

from collections.abc import Iterable
from typing import Any

import pytest


def rest_slow(values: Iterable[Any]) -> list[Any]:
    """Return a test's parameters, with all but the first marked slow.

    For values that each cost a call of `fab` or a lab of its own, and try the same thing once more.
    """
    first, *rest = values
    several = isinstance(first, tuple)
    return [first, *(pytest.param(*(v if several else (v,)), marks=pytest.mark.slow) for v in rest)]
