"""Ctrl-C, SIGTERM and a closed terminal end a command with exit code 4 at any moment.

A signal that this process inherited as ignored stays ignored: `nohup` relies on that.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLOSING = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 4  # ExitCode.INTERRUPTED: nothing is imported before the handlers are set

_Handler = Callable[[int, FrameType | None], Any]


def leave_at_once() -> None:
    """Exit at once on a signal, until there is something to clean up.

    `fab` starts Python with these signals blocked, so none arrives before this call.
    """
    _handle(_SIGNALS, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise KeyboardInterrupt on a signal within the block."""
    with _handled(_SIGNALS, _raise):
        yield


@contextlib.contextmanager
def handled_by(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Call a handler on a signal within the block."""
    with _handled(_SIGNALS, handler):
        yield


@contextlib.contextmanager
def closing(close: Callable[[], None]) -> Iterator[None]:
    """Call `close` on SIGTERM or a closed terminal, and raise KeyboardInterrupt after the block.

    This is for a block that forwards Ctrl-C and would mistake a KeyboardInterrupt for it.
    """
    received = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        close()

    with _handled(_CLOSING, note):
        try:
            yield
        finally:
            if received:
                raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(numbers: tuple[signal.Signals, ...], handler: _Handler) -> Iterator[None]:
    before = _handle(numbers, handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _handle(numbers: tuple[signal.Signals, ...], handler: _Handler) -> dict[signal.Signals, Any]:
    """Set a handler for all signals that aren't ignored; return what was set before."""
    found = {number: signal.getsignal(number) for number in numbers}
    before = {number: old for number, old in found.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    return before


def _leave(*_: Any) -> NoReturn:
    os._exit(INTERRUPTED)


def _raise(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
