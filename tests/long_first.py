"""The order of the tests: each worker of pytest-xdist begins with long ones.

So none is left alone with a long test in the end. The others stay together by file, as those of a
file share fixtures. Long is a test that asks for more time than the others have, by a marker.
"""

import os

import pytest


@pytest.hookimpl(trylast=True)  # when those that don't run are gone
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests at the beginning of each of the parts that `--dist worksteal` deals out."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = sorted(filter(_limit_s, items), key=_limit_s, reverse=True)
    rest = [item for item in items if not _limit_s(item)]
    ordered: list[pytest.Item] = []
    for workers_left in range(workers, 0, -1):
        share = (len(long) + len(rest)) // workers_left
        own = long[::workers_left][:share]
        long = [item for item in long if item not in own]
        ordered += own + rest[: share - len(own)]
        del rest[: share - len(own)]
    items[:] = ordered


def _limit_s(item: pytest.Item) -> float:
    """Return the time that a test of its own asks for; 0 if none."""
    marks = [mark for mark in item.own_markers if mark.name == "timeout"]
    return float(marks[-1].args[0]) if marks else 0.0
