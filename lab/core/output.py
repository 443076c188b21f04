"""Standard output and error that never raise and pass on nothing that a terminal would obey.

Whatever a machine, an archive or a file says is untrusted, and reaches the user by `print` from
many places: here is the one place that all of them go through.
"""

import contextlib
import errno
import io
import os
import re
import select
import sys
from typing import Any, TextIO, cast

# Printable by Unicode's book, yet drawn as nothing: joiners, fillers, variation selectors.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def visible(text: str) -> str:
    r"""Return text with what a terminal would obey, or not show, as `\x1b` or `\u202e`.

    These are control characters, escapes, marks of direction or of no width, separators; the end
    of a line stays.
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
    """A stream of text for a screen, see `visible`. What draws on the screen takes `drawing`."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.drawing = stream

    def write(self, text: str) -> int:
        """Write a text, its control characters made visible."""
        return self.drawing.write(visible(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.drawing, name)


class _Lasting(io.FileIO):
    """A descriptor that takes what is written for written once nobody or nothing takes it."""

    lost: OSError | None = None

    def write(self, data: Any) -> int:
        """Write, or note the first reason why not and write to nowhere from then on."""
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
    """Let this process print through SafeText, whatever of its standard streams it was given."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, so this one
            os.set_inheritable(number, True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = _safe(1, sys.stdout)
    sys.stderr = _safe(2, sys.stderr)


def _safe(number: int, stream: TextIO | None) -> TextIO:
    if stream is not None and not _is_ours(stream, number):
        return stream  # one that was made safe before, or that a test put there
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
    """Return the stream on which one may draw, for text that was made harmless before."""
    return file.drawing if isinstance(file, SafeText) else file


def finish() -> None:
    """Write what is left; say why if it, or something before, could not be written."""
    sys.stdout.flush()
    raw = drawing(sys.stdout).buffer.raw  # type: ignore[attr-defined]
    lost = raw.lost if isinstance(raw, _Lasting) else None
    if lost and lost.errno not in (errno.EPIPE, errno.EIO):  # the reader, the terminal went
        print(f"the output could not be written: {lost.strerror}", file=sys.stderr)
    sys.stderr.flush()
