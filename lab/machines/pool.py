"""All machines of a lab at the same time: connected, and asked for something each."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lab.core import limits
from lab.machines.providers.base import Machines
from lab.machines.remote import Remote

_AT_ONCE = 16

_M = TypeVar("_M")
_T = TypeVar("_T")


@contextlib.contextmanager
def connected(machines: Machines) -> Iterator[dict[str, Remote]]:
    """Connect to all machines at once, and close the connections in the end.

    Who replaces a connection in the dictionary, as one to a machine that was off, leaves it to us.
    """
    limits.require(len(machines.access))
    limits.allow(len(machines.access))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        attempts = [pool.submit(Remote, access) for access in machines.access.values()]
    made = [attempt.result() for attempt in attempts if attempt.exception() is None]
    remotes = {remote.name: remote for remote in made}
    try:
        for attempt in attempts:
            attempt.result()
        yield remotes
    finally:
        for remote in remotes.values():
            remote.close()


def at_once(machines: Mapping[str, _M], do: Callable[[_M], _T]) -> dict[str, _T]:
    """Do something with all machines at once, and return what came of it for each."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(machines, pool.map(do, machines.values()), strict=True))
