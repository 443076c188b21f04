"""Connects to all machines of a lab at once, and does something with each of them in parallel."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pushpull.core import limits
from pushpull.machines.providers.base import Machines
from pushpull.machines.remote import Remote

_AT_ONCE = 16

_M = TypeVar("_M")
_T = TypeVar("_T")


@contextlib.contextmanager
def connected(machines: Machines) -> Iterator[dict[str, Remote]]:
    """Connect to all machines at once, and close the connections at the end.

    That includes connections that replaced others in the dictionary, say after a power cut.
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
    """Call `do` with all machines in parallel; return the result for each."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(machines, pool.map(do, machines.values()), strict=True))


def uninterrupted(do: Callable[[], None]) -> None:
    """Call `do` to its end even if a signal raises KeyboardInterrupt meanwhile, which follows."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(do).result()
