"""Text for a screen: untrusted lines made harmless, times made short."""

import math
import textwrap

from pushpull.core.output import visible
from pushpull.core.records import Record


def harmless(text: str, limit: int) -> str:
    r"""Return untrusted text as one line that can't control a terminal, and hides nothing.

    Control characters, terminal escapes, direction marks, zero-width characters and line separators
    become visible escapes, such as `\x1b` or `\u202e`. (A backslash in the text is not escaped.)

    Arguments:
        text: any text, such as the output of a machine.
        limit: the most characters to show; a note gives the number of those that are left out.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    room = limit
    for character in text[:limit]:
        piece = "\\x0a" if character == "\n" else visible(character)
        room -= len(piece)
        if room < 0:  # never cut an escape in two
            break
        shown.append(piece)
    rest = len(text) - len(shown)
    note = f"… ({rest:,} character{'s' * (rest != 1)} more)" if rest else ""
    return "".join(shown) + note


def line_of(record: Record, limit: int) -> str:
    """Return a record's line as a terminal shows it, at most `limit` characters."""
    if record.shown is None:
        return f"(a line of {record.length:,} bytes: the log has it)"
    return harmless(record.shown, limit)


def wrapped(text: str, width: int) -> str:
    """Wrap sentences at spaces only, so that a path stays in one piece and can be copied."""
    lines = (harmless(line, 2000) for line in text.split("\n"))
    return "\n".join(
        textwrap.fill(line, max(10, width), break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def fitted(name: str, width: int) -> str:
    """Pad a name to this width; cut a longer one at its start, as its end says more."""
    name = harmless(name, 100)
    return name.ljust(width) if len(name) <= width else "…" + name[1 - width :]


def measured(value: float) -> str:
    """Return a number to four digits, or to all of its whole ones: `0.0123`, `1.2`, `12,345`."""
    if not 1e-4 <= abs(value) < 1e15:
        return f"{value:.4g}"  # also 0, infinity and NaN
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def duration(seconds: float) -> str:
    """Return a short duration as text: `0.4 ms`, `24 ms`, `1.5 s`."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms"
