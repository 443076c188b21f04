"""Ctrl-C, a polite kill and a closed terminal: each ends a command with exit code 4 at any moment.

A signal that this process inherited as ignored stays ignored: that is what `nohup` asks for.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CLOSING = (signal.SIGTERM, signal.SIGHUP)
_INTERRUPTED = 4  # ExitCode.INTERRUPTED: nothing is imported before the handlers are set

_Handler = Callable[[int, FrameType | None], Any]


def leave_at_once() -> None:
    """End this process on a signal, as long as it has begun nothing that needs an orderly end.

    `fab` starts Python with these signals blocked, so none comes before this call.
    """
    _handle(_SIGNALS, _leave)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise KeyboardInterrupt on a signal within the block."""
    with _handled(_SIGNALS, _raise):
        yield


@contextlib.contextmanager
def closing(close: Callable[[], None]) -> Iterator[None]:
    """Call `close` on a kill or a closed terminal, and raise KeyboardInterrupt after the block.

    For a block that passes Ctrl-C on and would take a KeyboardInterrupt for that.
    """
    came = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)
        close()

    with _handled(_CLOSING, note):
        try:
            yield
        finally:
            if came:
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
    before = {number: was for number, was in found.items() if was is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, handler)
    return before


def _leave(*_: Any) -> NoReturn:
    os._exit(_INTERRUPTED)


def _raise(*_: Any) -> NoReturn:
    raise KeyboardInterrupt
