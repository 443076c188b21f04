"""Makes standard output and error safe: they never raise, and print no terminal escapes.

The content of machines, archives and files is untrusted, and many places `print` it to the user.
All of that passes through here.
"""

import contextlib
import errno
import io
import os
import re
import select
import sys
from typing import Any, TextIO, cast

# Printable according to Unicode, but invisible: joiners, fillers, variation selectors.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Return text with visible escapes, such as `\x1b` or `\u202e`, for special characters.

    These are control characters, terminal escapes, direction marks, zero-width characters and
    separators. Line ends stay.
    """
    if text.replace("\n", "").isprintable() and not _UNSEEN.search(text):
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character == "\n" or (character.isprintable() and not _UNSEEN.match(character)):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class SafeText:
    """A text stream for a screen, see `visible`. Code that draws on the screen uses `drawing`."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.drawing = stream

    def write(self, text: str) -> int:
        """Write a text with its control characters made visible."""
        return self.drawing.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.drawing, name)


class _Lasting(io.FileIO):
    """A descriptor that silently discards everything after the first failed write."""

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        """Write; after the first failure, note the reason and discard all further data."""
        try:
            while not (count := super().write(data)):  # another process made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.lost = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(data)
        return count


def make_safe() -> None:
    """Let this process print through SafeText, even if it lacks some standard streams."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next opened file would get its number
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, so this one
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _safe(1, sys.stdout)
    sys.stderr = _safe(2, sys.stderr)


def _safe(number: int, stream: TextIO | None) -> TextIO:
    if stream is not None and not _is_ours(stream, number):
        return stream  # already safe, or replaced by a test
    buffer = io.BufferedWriter(cast(io.RawIOBase, _Lasting(number, "w", closefd=False)))
    text = io.TextIOWrapper(
        buffer,
        encoding=stream.encoding if stream else "utf-8",
        errors="backslashreplace",
        line_buffering=bool(stream and stream.line_buffering),
    )
    return cast(TextIO, SafeText(text))


def _is_ours(stream: TextIO, number: int) -> bool:
    with contextlib.suppress(OSError):
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    return False


def drawing(file: TextIO) -> TextIO:
    """Return the stream for drawing, to which only harmless text may be written."""
    return file.drawing if isinstance(file, SafeText) else file


def is_discarding(stream: TextIO) -> bool:
    """Return whether what is written to a stream is discarded, since that has failed once."""
    return _failure(stream) is not None


def finish() -> None:
    """Flush everything; print the reason if anything could not be written."""
    sys.stdout.flush()
    lost = _failure(sys.stdout)
    if lost and lost.errno not in (errno.EPIPE, errno.EIO):  # the reader or the terminal is gone
        print(f"the output could not be written: {lost.strerror}", file=sys.stderr)
    sys.stderr.flush()


def _failure(stream: TextIO) -> OSError | None:
    raw = getattr(drawing(stream).buffer, "raw", None)
    return raw.lost if isinstance(raw, _Lasting) else None
